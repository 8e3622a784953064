//! A disk in memory that never fails and never forgets: for tests that are not about disks.
