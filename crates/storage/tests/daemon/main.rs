//! The Storage Daemon on loopback, with a Director and clients that the tests play.

mod backup;
mod damage;
mod site;
mod takeover;
