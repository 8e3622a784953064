//! Arguments of `commit`.

use std::path::PathBuf;

use clap::Args;

/// One atomic commit from a JSON document: all of it, or nothing if a guard does not hold
#[derive(Args, Debug)]
#[command(after_help = "\
The document; unknown fields are refused, and both lists may be left out:

  {
    \"guards\": [
      {\"absent\":      {\"keyspace\": \"orders\", \"key\": \"order-17\"}},
      {\"exists\":      {\"keyspace\": \"customers\", \"key\": \"c-5\"}},
      {\"revision_is\": {\"keyspace\": \"stock\", \"key\": \"s-1\", \"revision\": 41}},
      {\"value_is\":    {\"keyspace\": \"stock\", \"key\": \"s-2\", \"value\": \"7\"}}
    ],
    \"ops\": [
      {\"put\":     {\"keyspace\": \"orders\", \"key\": \"order-17\", \"value\": {\"state\": \"new\"}}},
      {\"delete\":  {\"keyspace\": \"carts\", \"key\": \"c-5\"}},
      {\"number\":  {\"keyspace\": \"limits\", \"key\": \"c-5\", \"change\": {\"add\": 1},
                   \"expiry\": {\"if_new_ms\": 60000}}},
      {\"append\":  {\"keyspace\": \"logs\", \"key\": \"c-5\", \"suffix\": \"paid;\"}},
      {\"expire\":  {\"keyspace\": \"sessions\", \"key\": \"s-9\", \"expiry\": {\"after_ms\": 3600000}}},
      {\"set_add\": {\"keyspace\": \"tags\", \"key\": \"order-17\", \"members\": [\"new\"]}},
      {\"set_remove\": {\"keyspace\": \"tags\", \"key\": \"order-16\", \"members\": [\"new\"]}},
      {\"hash_set\": {\"keyspace\": \"users\", \"key\": \"c-5\", \"fields\": {\"name\": \"Alice\"}}},
      {\"hash_remove\": {\"keyspace\": \"users\", \"key\": \"c-5\", \"fields\": [\"mail\"]}},
      {\"read\": {\"keyspace\": \"users\", \"key\": \"c-5\"}},
      {\"undelete\": {\"keyspace\": \"documents\", \"key\": \"d-1\"}},
      {\"revert\": {\"keyspace\": \"documents\", \"key\": \"d-2\", \"revision\": 38}},
      {\"delete_prefix\": {\"keyspace\": \"carts\", \"prefix\": \"c-5/\"}},
      {\"publish\": {\"topic\": \"order-events\", \"key\": \"order-17\", \"value\": \"created\",
                   \"headers\": [{\"name\": \"trace\", \"value\": \"9f2\"}]}},
      {\"commit_offset\": {\"topic\": \"carts\", \"partition\": 0, \"consumer_group\": \"shop\", \"next\": 8}}
    ]
  }

'read' answers a row as the ops before it have left it, at most 256 KiB in all. A value that is a
JSON text is stored as that text, any other value as its JSON. 'publish' may
also name a 'partition' and may go without a 'key'. An 'expiry' is 'never', 'keep', or one of
after_ms, at_ms, if_new_ms; 'put', 'append', 'set_add' and 'hash_set' take one, too. Exit code
3 if a guard did not hold.

Examples:
  engine-cli commit -f order.json
  jq -n '{ops: [{put: {keyspace: \"k\", key: \"a\", value: \"1\"}}]}' | engine-cli commit -f -")]
pub(crate) struct CommitArgs {
    /// The document's file; '-' is stdin
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: PathBuf,
}
