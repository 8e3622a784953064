//! The engine's tests from outside: readable scripts, and crashes of the whole engine.

mod crash;
mod examples;
mod install;
mod kill;
mod scripts;
mod world;
