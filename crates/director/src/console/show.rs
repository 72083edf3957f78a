//! `show`: the configuration's resources, printed by `conf`.

use conf::DirectorConfig;
use conf::show::{Live, Show, help, keyword};

use super::acl::{Acl, AclKind};

/// The text of `show <key>[=<name>]`; `None` when there is nothing of that name to show.
pub(super) fn render(config: &DirectorConfig, key: &str, name: Option<&str>, acl: &Acl) -> Option<String> {
    if key == "help" {
        return Some(help());
    }
    let live = Live::default();
    let show = Show::new(config, &live);
    if key == "all" {
        return acl.is_unrestricted().then(|| show.all());
    }
    let kind = keyword(key)?;
    if let Some(list) = list_of(kind) {
        let allowed = match name {
            Some(name) => acl.allows(list, name),
            None => acl.is_unrestricted() || acl.allows(list, "*"),
        };
        if !allowed {
            return None;
        }
    } else if !acl.is_unrestricted() {
        return None;
    }
    show.kind(kind, name)
}

fn list_of(kind: conf::table::ResourceKind) -> Option<AclKind> {
    use conf::table::ResourceKind as Kind;
    match kind {
        Kind::Job => Some(AclKind::Job),
        Kind::Client => Some(AclKind::Client),
        Kind::Storage | Kind::Autochanger => Some(AclKind::Storage),
        Kind::Pool => Some(AclKind::Pool),
        Kind::FileSet => Some(AclKind::FileSet),
        Kind::Schedule => Some(AclKind::Schedule),
        Kind::Catalog => Some(AclKind::Catalog),
        Kind::Director
        | Kind::Console
        | Kind::JobDefs
        | Kind::Messages
        | Kind::Counter
        | Kind::Statistics
        | Kind::Device
        | Kind::Cloud
        | Kind::Cluster
        | Kind::Instance
        | Kind::FenceDevice
        | Kind::Topology
        | Kind::DataCentre
        | Kind::Node
        | Kind::Quorum
        | Kind::Domain
        | Kind::ReplicatedDevice
        | Kind::Block => None,
    }
}
