//! The instance: active or standby, and how consoles reach the active one from any of them (DESIGN §4).
//!
//! - [`Seat`]: what this process is now, and what operators wish it to become. A Director that stands alone has one, too.
//! - [`switchboard`]: one console's session over its whole life. It is connected by a [`leg`] to the Director that is active,
//!   here or on another instance, and to the next one when that goes away.
//! - [`report`], [`pairs`]: what an instance says of itself, and the tables of `status cluster`.
//! - [`commands`]: what every instance answers itself.
//! - [`replicate`], [`receive`]: the active instance brings its configuration ([`offer`]) to the standbys, and one that has
//!   another does not become active; [`install`] puts the files in place.

mod commands;
pub(crate) mod fencing;
pub(crate) mod install;
mod leg;
mod line;
mod offer;
mod pairs;
mod receive;
pub(crate) mod replicate;
mod report;
mod seat;
mod switchboard;

pub(crate) use report::other_active;
pub(crate) use seat::{Ask, HeldBack, Role, Seat};
pub(crate) use switchboard::serve;
