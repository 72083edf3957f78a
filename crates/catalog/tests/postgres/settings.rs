//! How a test gets into a database of a private server.

use catalog::postgres::{PostgresSettings, Tls};
use testkit::postgres::{CATALOG_USER, Postgres};

/// How a catalog's own user gets into a database over the server's socket.
pub(crate) fn settings(server: &Postgres, database: &str) -> PostgresSettings {
    PostgresSettings {
        address: server.socket_dir().display().to_string(),
        port: server.port(),
        user: CATALOG_USER.to_owned(),
        password: String::new(),
        database: database.to_owned(),
        tls: Tls::default(),
        director: "lab-dir".to_owned(),
        instance: "a".to_owned(),
        lease: None,
    }
}
