//! `status replication`: what is not yet at the other site.

use catalog::copies::{self, Uncopied};
use conf::DirectorConfig;
use types::{PoolId, Timestamp};

use super::acl::AclKind;
use super::fmt::{iso_time, with_suffix};
use super::session::{Session, now};
use super::table::{Kind, Table};
use super::ua::Done;

/// How far back the rate looks.
const RATE_SECONDS: i64 = 7 * 24 * 3600;

/// A Pool and one that it is copied to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    from: String,
    to: String,
}

/// One Job on one route.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Behind {
    route: Route,
    uncopied: Uncopied,
    /// Bytes and seconds of the copies of the last days.
    copied: (u64, u64),
}

impl Session {
    pub(super) async fn status_replication(&mut self) -> Done {
        self.use_catalog(false).await?;
        let routes: Vec<Route> = routes(&self.core.config())
            .into_iter()
            .filter(|route| {
                self.acl.allows(AclKind::Pool, &route.from) && self.acl.allows(AclKind::Pool, &route.to)
            })
            .collect();
        if routes.is_empty() {
            let text = "No Pool is copied: none has a Copy Pool, and no Copy Job a Next Pool.\n";
            return self.ua.send(text).await;
        }
        let at = Timestamp(now());
        let asked = routes.clone();
        let rows = self
            .read(move |r| {
                let mut rows = Vec::new();
                for route in &asked {
                    let id = |name: &str| -> catalog::Result<PoolId> {
                        Ok(catalog::pool::get_by_name(r, name)?.map(|pool| pool.id).unwrap_or_default())
                    };
                    let (from, to) = (id(&route.from)?, id(&route.to)?);
                    let copied = copies::copied_since(r, to, Timestamp(at.0 - RATE_SECONDS))?;
                    for uncopied in copies::uncopied(r, from, to)? {
                        rows.push(Behind { route: route.clone(), uncopied, copied });
                    }
                }
                Ok(rows)
            })
            .await?;
        let shown: Vec<Behind> =
            rows.into_iter().filter(|row| self.acl.allows(AclKind::Job, &row.uncopied.job)).collect();
        let mut text =
            String::from("Replication: backups that have no good copy in their Copy Pool or Next Pool\n");
        text.push_str(&table(&shown, at).horizontal(false));
        for route in routes.iter().filter(|route| shown.iter().all(|row| row.route != **route)) {
            text.push_str(&format!("Pool \"{}\" is wholly copied to Pool \"{}\".\n", route.from, route.to));
        }
        text.push_str("====\n");
        self.ua.send(text).await
    }
}

/// Where the configuration says that Pools are copied to, each pair once.
fn routes(config: &DirectorConfig) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let mut add = |from: &str, to: &str| {
        let route = Route { from: from.to_owned(), to: to.to_owned() };
        if from != to && !routes.contains(&route) {
            routes.push(route);
        }
    };
    for pool in &config.pools {
        pool.copy_pool.iter().for_each(|to| add(&pool.name, to));
    }
    for job in &config.jobs {
        if let Some(to) = &job.copy_pool {
            add(&job.pool, to);
        }
        if job.job_type == types::JobType::Copy {
            let next = job.next_pool.as_ref().or_else(|| config.pool(&job.pool)?.next_pool.as_ref());
            next.iter().for_each(|to| add(&job.pool, to));
        }
    }
    routes
}

fn table(rows: &[Behind], at: Timestamp) -> Table {
    let columns = [
        ("pool", Kind::Text),
        ("copypool", Kind::Text),
        ("job", Kind::Text),
        ("jobs", Kind::Number),
        ("bytes", Kind::Text),
        ("oldest", Kind::Text),
        ("rpo", Kind::Text),
        ("rate", Kind::Text),
    ];
    let mut table = Table::new(&columns);
    for row in rows {
        let oldest = row.uncopied.oldest;
        let (bytes, seconds) = row.copied;
        let rate = bytes.checked_div(seconds).map(|rate| format!("{}B/s", with_suffix(rate)));
        let rate = rate.unwrap_or_else(|| "-".to_owned());
        let cells = [
            row.route.from.clone(),
            row.route.to.clone(),
            row.uncopied.job.clone(),
            row.uncopied.jobs.to_string(),
            format!("{}B", with_suffix(row.uncopied.bytes)),
            oldest.map(|oldest| iso_time(oldest.0)).unwrap_or_default(),
            oldest.map(|oldest| age(at.0 - oldest.0)).unwrap_or_default(),
            rate,
        ];
        table.rows.push(cells.into_iter().map(Some).collect());
    }
    table
}

/// How long ago, in the two largest units.
fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_two_units() {
        assert_eq!(age(61), "1 min 1 s");
        assert_eq!(age(3 * 3600 + 62), "3 h 1 min");
        assert_eq!(age(2 * 86_400 + 3600), "2 d 1 h");
        assert_eq!(age(-5), "0 min 0 s");
    }

    #[test]
    fn what_is_behind_is_a_row() {
        let row = Behind {
            route: Route { from: "Near".to_owned(), to: "Far".to_owned() },
            uncopied: Uncopied {
                job: "Mail".to_owned(),
                jobs: 3,
                bytes: 5_000_000,
                oldest: Some(Timestamp(1_000_000)),
            },
            copied: (40_000_000, 4),
        };
        let text = table(&[row], Timestamp(1_000_000 + 7200)).horizontal(false);
        for word in ["| Near ", "| Far ", "| Mail ", "5.000 M", "2 h 0 min", "10.00 M"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
