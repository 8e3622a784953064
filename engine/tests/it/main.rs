//! The engine's tests from outside: readable scripts, received checkpoints, restarts.

mod examples;
mod full;
mod install;
mod life;
mod replay;
mod scripts;
mod world;
