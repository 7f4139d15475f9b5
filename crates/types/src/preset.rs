//! The presets that an app can start from, by name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A preset: a starter that fills an empty workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PresetName {
    /// React on Vite.
    ReactVite,
    /// Next.js.
    #[serde(rename = "nextjs")]
    NextJs,
    /// Express on Node.
    NodeExpress,
    /// `FastAPI` on Python.
    #[serde(rename = "fastapi")]
    FastApi,
    /// A process without a port.
    Worker,
}

/// A text that names no preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a preset: one of `react-vite`, `nextjs`, `node-express`, `fastapi`, `worker`")]
pub struct UnknownPreset;

impl PresetName {
    /// Every preset, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::ReactVite, Self::NextJs, Self::NodeExpress, Self::FastApi, Self::Worker];

    /// The name as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReactVite => "react-vite",
            Self::NextJs => "nextjs",
            Self::NodeExpress => "node-express",
            Self::FastApi => "fastapi",
            Self::Worker => "worker",
        }
    }
}

impl FromStr for PresetName {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name).ok_or(UnknownPreset)
    }
}

impl fmt::Display for PresetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        for preset in PresetName::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
            let json = serde_json::to_value(preset).unwrap();
            assert_eq!(json, preset.as_str());
            assert_eq!(serde_json::from_value::<PresetName>(json).unwrap(), preset);
        }
    }

    #[test]
    fn d15_an_unknown_preset_is_refused_and_told_which_there_are() {
        for bad in ["", "React-Vite", "react", "next", "rails", "../worker"] {
            let error = bad.parse::<PresetName>().unwrap_err().to_string();
            for preset in PresetName::ALL {
                assert!(error.contains(&format!("`{preset}`")), "{error}");
            }
        }
        assert!(serde_json::from_str::<PresetName>("\"rails\"").is_err());
    }
}
