//! Ids with a prefix that says what they name, for example `sb_0198c1f2…`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not an id of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected `{prefix}` and 32 hexadecimal digits")]
pub struct InvalidId {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &str = $prefix;

            /// Returns a new id; later ids sort after earlier ones (UUID version 7).
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                const ERR: InvalidId = InvalidId { prefix: $prefix };
                let hex = text.strip_prefix($prefix).ok_or(ERR)?;
                // One spelling for each id: the forms with dashes or braces are refused.
                if hex.len() != 32 || hex.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(ERR);
                }
                Uuid::try_parse(hex).map(Self).map_err(|_| ERR)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names a sandbox.
    SandboxId,
    "sb_"
);
id!(
    /// Names an app: a project that outlives its sandboxes.
    AppId,
    "app_"
);
id!(
    /// Names one exec of a sandbox.
    ExecId,
    "ex_"
);
id!(
    /// Names one approve, and with it its journal and its undo.
    ApproveId,
    "ap_"
);

id!(
    /// Names a tenant: what one of them has, no other one sees.
    TenantId,
    "tn_"
);
id!(
    /// Names a user of a tenant.
    UserId,
    "us_"
);
id!(
    /// Names an API key; it is no part of the key itself.
    ApiKeyId,
    "ak_"
);
id!(
    /// Names a session of a user; it is no part of the session's token.
    SessionId,
    "se_"
);

id!(
    /// Names a task: one instruction to a coding agent.
    TaskId,
    "ta_"
);
id!(
    /// Names a checkpoint: a point of a workspace's past.
    CheckpointId,
    "cp_"
);
id!(
    /// Names a credential: a secret that is put into requests on their way out.
    CredentialId,
    "cr_"
);
id!(
    /// Names a webhook.
    WebhookId,
    "wh_"
);

impl TenantId {
    /// The tenant that every server has: of the socket, of the token file, and of what is older than tenants.
    pub const DEFAULT: Self = Self(Uuid::nil());
}

/// Counts the writes of one record; a writer that saw an older one loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation of a record that was just inserted.
    pub const FIRST: Self = Self(1);

    /// Returns the generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_itself() {
        let id = SandboxId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn the_default_tenant_is_the_one_that_migrations_name() {
        let text = "tn_00000000000000000000000000000000";
        assert_eq!(TenantId::DEFAULT.to_string(), text);
        assert_eq!(text.parse(), Ok(TenantId::DEFAULT));
    }

    #[test]
    fn other_spellings_are_refused() {
        let id = SandboxId::generate().to_string();
        for wrong in
            ["", "sb_", &id[3..], &id.to_uppercase(), &format!("{id}0"), &id.replace("sb_", "ex_")]
        {
            assert!(wrong.parse::<SandboxId>().is_err(), "{wrong}");
        }
    }
}
