//! The catalog: a narrow port to a database, and typed queries over it.
//!
//! * [`Catalog`] is the handle: [`Catalog::read`] and [`Catalog::write`] run a closure in one transaction on a thread that
//!   owns a connection. A [`WriteTx`] cannot be had without an [`types::Epoch`], and checks it against the catalog's row.
//! * Typed queries are free functions by resource: `job::create(tx, …)`, `media::get_by_name(r, …)`. Reading ones take
//!   [`ReadTx`], and a [`WriteTx`] derefs to one.
//! * [`Connection`] is what a database must do; [`sqlite`] is the embedded one. SQL is written once; [`Dialect`] tells the
//!   few differences apart.
//! * The schema is Bacula's generation 1026 exactly (spec/05), with Holdfast's own tables beside it (`hf_…`).

pub mod attempt;
pub mod bvfs;
pub mod client;
pub mod copies;
pub mod counter;
mod error;
pub mod file;
pub mod fileset;
pub mod highwater;
mod identity;
pub mod job;
pub mod jobmedia;
pub mod journal;
pub mod known;
pub mod leader;
pub mod lease;
pub mod ledger;
pub mod listing;
pub mod log;
pub mod media;
pub mod operator;
pub mod partition;
pub mod plan;
pub mod pool;
mod port;
pub mod postgres;
pub mod purge;
pub mod removal;
mod schema;
pub mod script;
pub mod selection;
mod service;
pub mod sqlite;
pub mod standing;
pub mod storage;
mod time;
mod tx;
mod value;
pub mod volume_state;
pub mod withdraw;
mod worker;

pub use error::{CatalogError, Result};
pub use port::{Backend, Column, Connection, Dialect, Holds, TxMode};
pub use schema::GENERATION;
pub use service::Catalog;
pub use time::{LocalTime, Zone};
pub use tx::{ReadTx, WriteTx};
pub use value::{FromValue, Instant, OwnedValue, Row, RowSource, Value};
