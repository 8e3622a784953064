//! Arguments about ends of rows, numbers, sets and hashes.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::{InKeyspace, ReadArgs};

/// When the row ends; as the keyspace says if none of these is given
#[derive(Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub(crate) struct ExpiryArgs {
    /// So long from now: '500ms', '90s', '1h 30m', '7days'
    #[arg(long, value_parser = time, value_name = "TIME")]
    pub(crate) ttl: Option<Duration>,
    /// So long from now if the row is new; one that is there keeps its end
    #[arg(long, value_parser = time, value_name = "TIME")]
    pub(crate) ttl_if_new: Option<Duration>,
    /// At this time, in UTC: '2027-01-31T08:00:00Z'
    #[arg(long, value_parser = humantime::parse_rfc3339_weak, value_name = "TIMESTAMP")]
    pub(crate) expires_at: Option<SystemTime>,
    /// As it did before, if the row is there
    #[arg(long)]
    pub(crate) keep_ttl: bool,
    /// Never
    #[arg(long)]
    pub(crate) no_ttl: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TypedCommand {
    /// Change a number and print what it is then
    #[command(after_help = "\
The row holds the number as digits; one that is not there counts as 0.

Examples:
  engine-cli kv number visits --keyspace stats --add 1
  engine-cli kv number requests-alice --keyspace limits --add 1 --ttl-if-new 1m
  engine-cli kv number high-score --keyspace games --max 4200")]
    Number(NumberArgs),

    /// Add bytes to the end of a value
    #[command(after_help = "\
Example:
  engine-cli kv append log-17 'paid;' --keyspace orders")]
    Append {
        /// The row's key; one that is not there is made
        key: String,
        /// What is added; '-' reads it from stdin
        suffix: String,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        expiry: ExpiryArgs,
    },

    /// Say anew when a row ends; exit code 3 if it is not there
    #[command(after_help = "\
Examples:
  engine-cli kv expire session-9 --keyspace sessions --ttl 30m
  engine-cli kv expire session-9 --keyspace sessions --no-ttl")]
    Expire {
        /// The row's key
        key: String,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        expiry: ExpiryArgs,
    },

    /// Print how long a row lives on; exit code 3 if it is not there
    #[command(after_help = "\
Example:
  engine-cli kv ttl session-9 --keyspace sessions")]
    Ttl {
        /// The row's key
        key: String,
        #[command(flatten)]
        at: InKeyspace,
    },

    /// Sets: add, rm, has, ls
    #[command(subcommand)]
    Set(SetCommand),

    /// Hashes: set, get, rm, ls
    #[command(subcommand)]
    Hash(HashCommand),
}

/// A number's change
#[derive(Args, Debug)]
pub(crate) struct NumberArgs {
    /// The row's key
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) at: InKeyspace,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    #[command(flatten)]
    pub(crate) expiry: ExpiryArgs,
}

/// How the number changes
#[derive(Args, Clone, Copy, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct ChangeArgs {
    /// By so much
    #[arg(long, allow_negative_numbers = true, value_name = "NUMBER")]
    pub(crate) add: Option<i64>,
    /// To this, if it is larger
    #[arg(long, allow_negative_numbers = true, value_name = "NUMBER")]
    pub(crate) max: Option<i64>,
    /// To this, if it is smaller
    #[arg(long, allow_negative_numbers = true, value_name = "NUMBER")]
    pub(crate) min: Option<i64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetCommand {
    /// Add members; the set is made with its first
    #[command(after_help = "\
Example:
  engine-cli kv set add ws:alice conn-1 conn-2 --keyspace sockets --ttl 1h")]
    Add {
        /// The set's key
        key: String,
        /// What is added
        #[arg(required = true)]
        members: Vec<String>,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        expiry: ExpiryArgs,
    },
    /// Remove members; the set goes with its last
    #[command(after_help = "\
Example:
  engine-cli kv set rm ws:alice conn-1 --keyspace sockets")]
    Rm {
        /// The set's key
        key: String,
        /// What is removed
        #[arg(required = true)]
        members: Vec<String>,
        #[command(flatten)]
        at: InKeyspace,
    },
    /// Ask for a member; exit code 3 if it is not there
    #[command(after_help = "\
Example:
  engine-cli kv set has ws:alice conn-2 --keyspace sockets")]
    Has {
        /// The set's key
        key: String,
        /// The member
        member: String,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Print members, a page at a time
    #[command(after_help = "\
Example:
  engine-cli kv set ls ws:alice --keyspace sockets")]
    Ls(MembersArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum HashCommand {
    /// Write fields; the hash is made with its first
    #[command(after_help = "\
Example:
  engine-cli kv hash set user-5 name=Alice mail=a@example.org --keyspace users")]
    Set {
        /// The hash's key
        key: String,
        /// FIELD=VALUE
        #[arg(required = true, value_parser = field, value_name = "FIELD=VALUE")]
        fields: Vec<(String, String)>,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        expiry: ExpiryArgs,
    },
    /// Print one field; exit code 3 if it is not there
    #[command(after_help = "\
Example:
  engine-cli kv hash get user-5 name --keyspace users")]
    Get {
        /// The hash's key
        key: String,
        /// The field
        field: String,
        #[command(flatten)]
        at: InKeyspace,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Remove fields; the hash goes with its last
    #[command(after_help = "\
Example:
  engine-cli kv hash rm user-5 mail --keyspace users")]
    Rm {
        /// The hash's key
        key: String,
        /// What is removed
        #[arg(required = true)]
        fields: Vec<String>,
        #[command(flatten)]
        at: InKeyspace,
    },
    /// Print fields, a page at a time
    #[command(after_help = "\
Example:
  engine-cli kv hash ls user-5 --keyspace users")]
    Ls(MembersArgs),
}

/// A page of members or fields
#[derive(Args, Debug)]
pub(crate) struct MembersArgs {
    /// The key of the set or hash
    pub(crate) key: String,
    /// Only those behind this one: the last of the page before
    #[arg(long)]
    pub(crate) after: Option<String>,
    /// Most of them; 0 for the most that fit (10,000, 2 MiB)
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) at: InKeyspace,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

/// A length of time as people write it.
pub(super) fn time(written: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(written)
        .map_err(|error| format!("{error}; write it as '500ms', '90s', '1h 30m' or '7days'"))?;
    if time < Duration::from_millis(1) {
        return Err("it must be at least 1ms".to_owned());
    }
    Ok(time)
}

fn field(written: &str) -> Result<(String, String), String> {
    let (field, value) = written.split_once('=').ok_or("write it as FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}
