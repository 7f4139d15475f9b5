//! Spans for traces. They are no part of the log: they have a target of their own, and whoever collects them takes
//! that target alone, so nothing is sent away that was not meant to be.

/// The target of these spans. They hold ids and kinds; never names, paths, commands or values.
pub const TRACES: &str = "sandbar_traces";
