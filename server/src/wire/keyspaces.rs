//! Keyspaces and their options.

use engine::command::{Command, KeyspaceOptions, Outcome};
use engine::ids::GroupId;
use engine::limits;
use engine::query::KeyspaceView;
use engine_proto::v1 as pb;

use super::{Header, Invalid, limit};
use crate::error::Error;

/// A new keyspace.
pub(crate) fn create_keyspace(
    request: &pb::CreateKeyspaceRequest,
) -> Result<(GroupId, Command), Invalid> {
    let command = Command::CreateKeyspace {
        name: limit::name("name", &request.name)?,
        options: options(request.options.as_ref())?,
    };
    Ok((limit::group(request.group), command))
}

/// The keyspace is there.
pub(crate) fn create_keyspace_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::CreateKeyspaceResponse, Error> {
    match outcome {
        Outcome::KeyspaceCreated { revision, .. } => Ok(pb::CreateKeyspaceResponse {
            header: header.at(revision),
        }),
        other => Err(Error::unexpected(other)),
    }
}

/// Other options for a keyspace.
pub(crate) fn alter_keyspace(
    request: &pb::AlterKeyspaceRequest,
) -> Result<(GroupId, Command), Invalid> {
    let wanted = request
        .options
        .as_ref()
        .ok_or(Invalid::MissingField { field: "options" })?;
    let command = Command::AlterKeyspace {
        name: limit::name("name", &request.name)?,
        options: options(Some(wanted))?,
    };
    Ok((limit::group(request.group), command))
}

/// The keyspace has them.
pub(crate) fn alter_keyspace_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::AlterKeyspaceResponse, Error> {
    match outcome {
        Outcome::KeyspaceAltered { revision } => Ok(pb::AlterKeyspaceResponse {
            header: header.at(revision),
        }),
        other => Err(Error::unexpected(other)),
    }
}

/// The end of a keyspace.
pub(crate) fn drop_keyspace(
    request: &pb::DropKeyspaceRequest,
) -> Result<(GroupId, Command), Invalid> {
    let name = limit::name("name", &request.name)?;
    Ok((limit::group(request.group), Command::DropKeyspace { name }))
}

/// The keyspace is gone.
pub(crate) fn drop_keyspace_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::DropKeyspaceResponse, Error> {
    match outcome {
        Outcome::KeyspaceDropped { revision } => Ok(pb::DropKeyspaceResponse {
            header: header.at(revision),
        }),
        other => Err(Error::unexpected(other)),
    }
}

/// All keyspaces.
pub(crate) fn list_keyspaces_response(
    header: Header,
    keyspaces: Vec<KeyspaceView>,
) -> pb::ListKeyspacesResponse {
    let keyspaces = keyspaces.into_iter();
    pb::ListKeyspacesResponse {
        header: header.now(),
        keyspaces: keyspaces
            .map(|keyspace| pb::Keyspace {
                name: keyspace.name,
                options: Some(pb::KeyspaceOptions {
                    default_ttl_ms: keyspace.options.default_ttl_ms,
                    versioned: keyspace.options.versioned,
                    rows_max: keyspace.options.rows_max,
                    bytes_max: keyspace.options.bytes_max,
                    uncached: keyspace.options.uncached,
                }),
                usage: keyspace.usage.map(|usage| pb::KeyspaceUsage {
                    rows: usage.rows,
                    bytes: usage.bytes,
                    complete: usage.complete,
                }),
            })
            .collect(),
    }
}

fn options(options: Option<&pb::KeyspaceOptions>) -> Result<KeyspaceOptions, Invalid> {
    let Some(options) = options else {
        return Ok(KeyspaceOptions::default());
    };
    if let Some(ttl_ms) = options.default_ttl_ms {
        limit::within("options.default_ttl_ms", ttl_ms, 1, limits::TTL_MS_MAX)?;
    }
    Ok(KeyspaceOptions {
        default_ttl_ms: options.default_ttl_ms,
        versioned: options.versioned,
        rows_max: options.rows_max,
        bytes_max: options.bytes_max,
        uncached: options.uncached,
    })
}
