//! The engine's tests from outside: readable scripts, received checkpoints, restarts.

mod examples;
mod install;
mod replay;
mod scripts;
mod world;
