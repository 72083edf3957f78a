//! The Director's instances and their catalog.

use std::sync::Arc;

use catalog::postgres::PostgresBackend;
use catalog::{Backend as _, TxMode, Zone};
use conf::DirectorConfig;

use super::{Configuration, Scene, Settings};
use crate::check::finding::Finding;
use crate::check::judge;
use crate::check::machine::clip;
use crate::status::survey;

/// Name under which the check connects to PostgreSQL.
const NAME: &str = "check";

/// The configuration, or the finding that it is not there.
fn configured<'s>(scene: &'s Scene<'_>, check: &'static str) -> Result<&'s Arc<DirectorConfig>, Finding> {
    match &scene.configuration {
        Configuration::Read(config) => Ok(config),
        Configuration::Absent(path) => {
            let evidence = format!("no Director is configured here ({path})");
            Err(Finding::absent(check, evidence, "give its file by -c FILE"))
        }
        Configuration::Refused(why) => {
            Err(Finding::unknown(check, clip(why), "look at holdfast director -t"))
        }
    }
}

pub(super) fn postgresql(scene: &Scene<'_>) -> Vec<Finding> {
    let config = match configured(scene, "postgresql") {
        Ok(config) => config,
        Err(finding) => return vec![finding],
    };
    let server = match director::catalog_server(config, NAME) {
        Ok(Some(server)) => server,
        Ok(None) => {
            let remedy = "instances of two machines need a catalog in PostgreSQL";
            return vec![Finding::absent("postgresql", "the catalog is embedded (SQLite)", remedy)];
        }
        Err(error) => {
            return vec![Finding::unknown("postgresql", error.to_string(), "look at holdfast director -t")];
        }
    };
    // Several servers are one and its standbys.
    let replicates = scene.expected.catalog_replicates || server.address.contains(',');
    match settings(server) {
        Ok(settings) => judge::postgresql(&settings, replicates),
        Err(why) => {
            let remedy =
                "look at the server, and at DB Address, DB User and DB Password of the Catalog resource";
            vec![Finding::unknown("postgresql", clip(&why), remedy)]
        }
    }
}

/// The settings of the server that can be written, over a connection that writes nothing.
fn settings(server: catalog::postgres::PostgresSettings) -> Result<Settings, String> {
    let said = |error: catalog::CatalogError| format!("{:#}", anyhow::Error::new(error));
    let backend = PostgresBackend::new(server, Zone::system()).map_err(said)?;
    let connection = backend.connect(TxMode::Read).map_err(said)?;
    let names: Vec<String> = judge::SETTINGS.iter().map(|name| format!("'{name}'")).collect();
    let sql = format!(
        "SELECT name AS Name, setting AS Setting FROM pg_settings WHERE name IN ({})",
        names.join(", ")
    );
    let mut found = Settings::new();
    let mut take = |row: &catalog::Row<'_>| {
        found.insert(row.get("Name")?, row.get("Setting")?);
        Ok(())
    };
    connection.query(&sql, &[], &mut take).map_err(said)?;
    Ok(found)
}

pub(super) fn instances(scene: &Scene<'_>) -> Vec<Finding> {
    let config = match configured(scene, "director") {
        Ok(config) => config,
        Err(finding) => return vec![finding],
    };
    match survey(config) {
        Ok(asked) => vec![judge::roles(&asked), judge::configuration(&asked)],
        Err(error) => vec![Finding::unknown("director", format!("{error:#}"), "look at holdfast ha status")],
    }
}
