//! What the host's own configuration says about registries, proxies and roots of trust, so that an install inside works
//! where one outside does.
//!
//! Files and variables are read as the tools read them, as far as that is told here. Of what is read, addresses of
//! registries and names of certificate files go into a sandbox; a name and a password in such an address never do, and
//! neither does anything that is kept beside it (`_authToken`, `[credentials]`).

mod apt;
mod cargo;
mod configuration;
mod environment;
mod npm;
mod pip;
mod roots;
mod split_horizon;
mod upstream;
mod url;

pub use self::{
    configuration::{CallerFiles, HostConfiguration, Note},
    environment::environment,
    split_horizon::SplitHorizon,
    upstream::{NoProxy, UnsupportedProxy, Upstream, Upstreams},
};
