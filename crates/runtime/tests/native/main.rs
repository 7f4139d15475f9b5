//! Launches for real. Everything here needs root, user mode included: the tests become another user themselves.

mod broken;
mod fork;
mod launch;
mod life;
mod rig;
mod toolchains;
mod user_mode;
