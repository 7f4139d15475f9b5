//! One file for each resource; each gives the router its routes together with their documentation.

pub(crate) mod accounts;
pub(crate) mod api_keys;
pub(crate) mod approves;
pub(crate) mod apps;
pub(crate) mod attach;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod checkpoints;
pub(crate) mod config;
pub(crate) mod credentials;
pub(crate) mod events;
pub(crate) mod execs;
pub(crate) mod files;
pub(crate) mod health;
pub(crate) mod output;
pub(crate) mod ports;
pub(crate) mod processes;
pub(crate) mod pull;
pub(crate) mod review;
pub(crate) mod sandboxes;
pub(crate) mod settings;
pub(crate) mod tasks;
pub(crate) mod tenants;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod webhooks;
