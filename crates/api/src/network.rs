//! What a sandbox may reach.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Which host is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NetworkWhyQuery {
    /// A name or an address, with or without a port.
    #[param(min_length = 1)]
    pub host: String,
    /// The port; 443 when none is named.
    #[param(minimum = 1, maximum = 65535)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}
