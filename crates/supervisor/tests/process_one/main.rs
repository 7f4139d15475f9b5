//! The supervisor for real: process 1 of a pid namespace, a real socket, real commands. Needs root.
#![expect(clippy::tests_outside_test_module, reason = "an integration test in several files")]
#![expect(clippy::unwrap_used, reason = "a harness that cannot go on fails its test")]
#![expect(clippy::print_stderr, reason = "what is skipped is said")]
#![expect(unreachable_pub, reason = "a harness for the other files")]

mod app;
mod descriptors;
mod ends;
mod harness;
mod logs;
mod output;
mod probes;
mod processes;
mod rig;
mod sockets;
mod terminal;
