//! Identity of the database (DESIGN §2.5: everything on an SD is keyed by Director name and catalog).

use crate::error::{CatalogError, Result};
use crate::tx::ReadTx;
use types::CatalogId;

const SELECT: &str = "SELECT Uuid FROM hf_catalog";

/// The identity drawn when the catalog was created.
///
/// # Errors
/// [`CatalogError::BadValue`] when it is missing or damaged.
pub(crate) fn load(r: &ReadTx<'_>) -> Result<CatalogId> {
    let text: String = r.scalar(SELECT, &[])?.unwrap_or_default();
    text.parse().map_err(|_| CatalogError::BadValue {
        column: "hf_catalog.Uuid".to_owned(),
        problem: format!("holds {text:?}, which is no catalog identity"),
    })
}
