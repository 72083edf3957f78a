//! Names of new Volumes (spec/04 §5.4).

use super::volumes::Server;
use catalog::counter::{self, CounterRow};
use catalog::media;
use jiff::tz::TimeZone;
use policy::volume::{LabelFacts, PoolFacts, expand_label, is_simple_format, simple_names};
use std::collections::BTreeMap;
use types::VolumeName;

/// A name that no Volume has; the inner error says to the operator why there is none.
pub(super) fn next_name(
    server: &Server<'_>,
    pool: &PoolFacts,
    media_type: &str,
) -> catalog::Result<Result<String, String>> {
    if is_simple_format(&pool.label_format) {
        return simple(server, &pool.label_format);
    }
    let counters = counter::list(server.tx)?;
    let facts = facts(server, pool, media_type, &counters);
    let (name, used) = match expand_label(&pool.label_format, &facts) {
        Ok(expanded) => expanded,
        Err(problem) => return Ok(Err(problem.to_string())),
    };
    if media::get_by_name(server.tx, name.as_str())?.is_some() {
        return Ok(Err(format!(
            "Label Format \"{}\" gives \"{name}\", which exists; put a Counter or the JobId into it",
            pool.label_format
        )));
    }
    for row in counters.iter().filter(|row| used.contains_key(&row.name)) {
        counter::advance(server.tx, row)?;
    }
    Ok(Ok(name.as_str().to_owned()))
}

fn simple(server: &Server<'_>, format: &str) -> catalog::Result<Result<String, String>> {
    let highest = media::highest_id(server.tx)?;
    for name in simple_names(format, highest.0) {
        if let Err(problem) = VolumeName::new(name.clone()) {
            return Ok(Err(problem.to_string()));
        }
        if media::get_by_name(server.tx, &name)?.is_none() {
            return Ok(Ok(name));
        }
    }
    Ok(Err(format!("every Volume name tried for Label Format \"{format}\" exists")))
}

fn facts(server: &Server<'_>, pool: &PoolFacts, media_type: &str, counters: &[CounterRow]) -> LabelFacts {
    let context = server.context;
    let values = [
        ("Job", context.name.clone()),
        ("Dir", server.tx.director().to_owned()),
        ("Level", context.level.as_str().to_owned()),
        ("Type", context.job_type.as_str().to_owned()),
        ("JobId", context.job_id.to_string()),
        ("Client", context.client.clone()),
        ("NumVols", pool.volumes.to_string()),
        ("Pool", pool.name.clone()),
        ("Storage", context.storage.clone()),
        ("MediaType", media_type.to_owned()),
        ("JobName", context.unique_name.clone()),
    ];
    let now = jiff::Timestamp::from_second(server.now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    LabelFacts {
        now: TimeZone::system().to_datetime(now),
        values: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        counters: counters.iter().map(|row| (row.name.clone(), row.current)).collect::<BTreeMap<_, _>>(),
    }
}
