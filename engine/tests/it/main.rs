//! The engine's tests from outside: readable scripts, and crashes of the whole engine.

mod crash;
mod scripts;
mod world;
