//! The catalog as commands use it: errors are told to the user and end the command.

use catalog::listing::ColumnKind;
use catalog::{ReadTx, WriteTx};

use super::session::Session;
use super::table::{Kind, Table};
use super::ua::Done;
use std::time::Duration;

/// How long a person waits for a catalog that is away before being told so; jobs wait longer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Session {
    /// The catalog for a command.
    pub(super) fn catalog(&self) -> catalog::Catalog {
        self.core.catalog().with_patience(PATIENCE)
    }

    /// Reads from the catalog.
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        work: impl Fn(&ReadTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> Done<T> {
        let result = self.catalog().read(work).await;
        self.or_fail(result).await
    }

    /// Reads much of the catalog: beside the short reads of everybody else.
    pub(super) async fn read_long<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&ReadTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> Done<T> {
        let result = self.catalog().read_long(work).await;
        self.or_fail(result).await
    }

    /// The epoch to write under, where this instance is the active one.
    pub(super) async fn epoch(&mut self) -> Done<types::Epoch> {
        match self.core.epoch() {
            Ok(epoch) => Ok(epoch),
            Err(error) => self.ua.fail(format!("{error}\n")).await,
        }
    }

    /// Writes to the catalog in one transaction.
    pub(super) async fn write<T: Send + 'static>(
        &mut self,
        work: impl Fn(&WriteTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> Done<T> {
        let epoch = self.epoch().await?;
        let work = move |tx: &WriteTx<'_>| {
            let done = work(tx)?;
            sys::failpoint::reach("director-console-uncommitted");
            Ok(done)
        };
        let result = self.catalog().write(epoch, work).await;
        self.or_fail(result).await
    }

    pub(super) async fn or_fail<T>(&mut self, result: catalog::Result<T>) -> Done<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => self.ua.fail(format!("{}\n", chain(&error))).await,
        }
    }

    /// Shows a listing, horizontal or vertical.
    pub(super) async fn show_listing(&mut self, listing: catalog::listing::Listing, long: bool) -> Done {
        let text = table_of(listing).render(long, self.ua.plain());
        self.ua.send(text).await
    }
}

/// An error with its sources.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// A catalog listing as a table.
pub(super) fn table_of(listing: catalog::listing::Listing) -> Table {
    let columns = listing.columns.into_iter().map(|(name, kind)| super::table::Column {
        name,
        kind: match kind {
            ColumnKind::Number => Kind::Number,
            ColumnKind::Text => Kind::Text,
        },
    });
    Table { columns: columns.collect(), rows: listing.rows }
}
