//! The lines of the table.

/// One measure: its name in the results, what the table calls it, and how many decimals it has.
pub struct Line {
    /// `cell.measure`.
    pub id: &'static str,
    /// What the table says.
    pub label: &'static str,
    /// Digits behind the point.
    pub decimals: usize,
}

const fn line(id: &'static str, label: &'static str, decimals: usize) -> Line {
    Line {
        id,
        label,
        decimals,
    }
}

/// All lines, in the order of the table.
pub const LINES: &[Line] = &[
    line("sync.batches_s", "(a) synced batches/s (64x144 B)", 0),
    line("sync.p50_ms", "(a) synced batch p50 ms", 3),
    line("sync.p99_ms", "(a) synced batch p99 ms", 3),
    line("load.kops", "(a) load no sync, kops/s", 0),
    line("overwrite.kops", "(b) overwrite x2, kops/s", 0),
    line("load.disk", "(b) disk/raw after load", 2),
    line(
        "overwrite.disk",
        "(b) disk/raw after 2 overwrites (+3 s)",
        2,
    ),
    line(
        "overwrite.disk_compact",
        "(b) disk/raw after explicit compact",
        2,
    ),
    line("overwrite.compact_s", "(b) compact s", 1),
    line("load.rss_mb", "(b) RSS MB after load", 0),
    line("load.peak_mb", "(b) peak RSS MB of the load", 0),
    line("overwrite.rss_mb", "(b) RSS MB after overwrites", 0),
    line("overwrite.peak_mb", "(b) peak RSS MB of the overwrites", 0),
    line(
        "load.amplification",
        "(b) bytes written / raw, load of 128 B values",
        2,
    ),
    line(
        "load4k.amplification",
        "(b) bytes written / raw, load of 4 KiB values",
        2,
    ),
    line("load4k.mb_s", "(b) load of 4 KiB values, MB/s", 0),
    line("read.hit1_kops", "(c) get hit 1 thread, kops/s", 0),
    line("read.hit2_kops", "(c) get hit 2 threads, kops/s", 0),
    line("read.hot1_kops", "(c) get hot rows 1 thread, kops/s", 0),
    line("read.hot2_kops", "(c) get hot rows 2 threads, kops/s", 0),
    line("read.miss1_kops", "(c) get miss 1 thread, kops/s", 0),
    line("read.miss2_kops", "(c) get miss 2 threads, kops/s", 0),
    line("read.scans", "(d) scans of 100 per s", 0),
    line("read.rss_mb", "(d) RSS MB after reads", 0),
    line(
        "mixed.alone_p99_us",
        "(d) get while nothing is written, p99 us",
        1,
    ),
    line(
        "mixed.read_p50_us",
        "(d) get while writing 100 kops/s, p50 us",
        1,
    ),
    line(
        "mixed.read_p99_us",
        "(d) get while writing 100 kops/s, p99 us",
        1,
    ),
    line(
        "mixed.read_p999_us",
        "(d) get while writing 100 kops/s, p99.9 us",
        0,
    ),
    line(
        "mixed.read_max_us",
        "(d) get while writing 100 kops/s, longest us",
        0,
    ),
    line("mixed.write_kops", "(d) written meanwhile, kops/s", 0),
    line(
        "overwrite.delete_ms",
        "(e) delete a prefix of 1/256 of the keys, ms",
        1,
    ),
    line("load.close_ms", "(f) close ms", 1),
    line("read.open_ms", "(f) open ms after a clean close", 1),
    line(
        "reopen.open_ms",
        "(f) open ms after kill -9, 64 MiB unflushed",
        1,
    ),
];
