//! The engine's tests from outside: readable scripts, received checkpoints, restarts.

mod examples;
mod full;
mod install;
mod kill;
mod life;
#[cfg(feature = "sled")]
mod power_cut;
mod replay;
mod scripts;
mod world;
