//! The engine's tests from outside: readable scripts, and crashes of the whole engine.

mod crash;
mod damage;
mod examples;
mod fixtures;
mod install;
mod scripts;
mod world;
