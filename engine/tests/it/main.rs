//! The engine's tests from outside: readable scripts, received checkpoints, restarts.

mod caches;
mod compare_and_set;
mod damage;
mod ends;
mod examples;
mod fixtures;
mod full;
mod hash;
mod install;
mod kill;
mod large_sets;
mod life;
#[cfg(feature = "sled")]
mod power_cut;
mod quiet;
mod quota;
mod repair;
mod replay;
mod scripts;
mod scrub;
mod versions;
mod watching;
mod world;
