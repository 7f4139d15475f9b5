//! Where agents for sandboxes alone are: what puts them there and what shows them inside must mean the same place.

/// Below a home: where `sandbar agents install` puts agents, pinned and checked; their programs are in `bin`.
pub const TOOLBOX: &str = ".local/share/sandbar-toolbox";
