//! Whether a former active instance is switched off before it is followed, where the configuration does not say (DESIGN §4).

use catalog::operator::Setting;
use conf::DirectorConfig;
use conf::director::Fence as Wanted;
use lead::protocol::Fence;
use std::collections::BTreeMap;

/// Kind of operator's setting that keeps which Storage Daemons check epochs, by the name of the Storage.
pub(crate) const CHECKS_EPOCHS: &str = "checks-epochs";

/// What is done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fencing {
    /// What is done.
    pub(crate) fence: Fence,
    /// In words.
    pub(crate) why: String,
}

/// Which Storage Daemons check epochs, as was found when they were asked last.
pub(crate) fn known(settings: &[Setting]) -> BTreeMap<String, bool> {
    let own = settings.iter().filter(|setting| setting.kind == CHECKS_EPOCHS);
    own.map(|setting| (setting.name.clone(), setting.value == "yes")).collect()
}

/// The first Storage that does not check epochs, or of which that is not known.
fn unchecked<'a>(config: &'a DirectorConfig, checks: &BTreeMap<String, bool>) -> Option<(&'a str, bool)> {
    let stock = |known: Option<bool>| {
        config
            .storages
            .iter()
            .find(|storage| checks.get(&storage.name).copied() == known)
            .map(|storage| storage.name.as_str())
    };
    stock(Some(false)).map(|name| (name, true)).or(stock(None).map(|name| (name, false)))
}

/// The directive's word, else what is safe: without fencing, only a Storage Daemon that checks epochs is safe from a former active
/// instance that is still alive.
pub(crate) fn choose(config: &DirectorConfig, checks: &BTreeMap<String, bool>) -> Fencing {
    let said = config.cluster.as_ref().and_then(|cluster| cluster.fence);
    if let Some(said) = said {
        let fence = match said {
            Wanted::Required => Fence::Required,
            Wanted::None => Fence::None,
        };
        return Fencing { fence, why: "as configured".to_owned() };
    }
    let Some((storage, is_known)) = unchecked(config, checks) else {
        return Fencing { fence: Fence::None, why: "every Storage daemon checks epochs".to_owned() };
    };
    let about = if is_known {
        format!("Storage daemon {storage} checks no epochs")
    } else {
        format!("whether Storage daemon {storage} checks epochs is not known yet")
    };
    match config.instances.iter().find(|instance| instance.fence_device.is_none()) {
        None => Fencing { fence: Fence::Required, why: about },
        Some(instance) => Fencing {
            fence: Fence::None,
            why: format!(
                "{about}, and instance {} has no Fence Device: jobs that run there do not live through a takeover",
                instance.name
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = r#"Director { Name = d; Password = p; Query File = q; Working Directory = /tmp; Pid Directory = /tmp }
Catalog { Name = c; DB Name = b }
Messages { Name = m; Console = all }
Client { Name = f; Address = f; Password = p; Catalog = c }
Storage { Name = st; Address = s; Password = p; Device = v; Media Type = t }
Pool { Name = po; Pool Type = Backup }
FileSet { Name = x; Include { File = / } }
Job { Name = j; Type = Backup; Client = f; Storage = st; Pool = po; FileSet = x; Messages = m }
Instance { Name = a; Address = 127.0.0.1; Fence Device = board }
Fence Device { Name = board; Agent = fence_ipmilan }
"#;

    #[track_caller]
    fn check(cluster: &str, checks: Option<bool>, fence: Fence, why: &str) {
        let text = format!("{REST}{cluster}\n");
        let mut loader = conf::TextLoader::new("t.conf", text);
        let config = conf::load::<DirectorConfig>("t.conf", &mut loader).unwrap().config;
        let checks = checks.map(|checks| ("st".to_owned(), checks)).into_iter().collect();
        let chosen = choose(&config, &checks);
        assert_eq!((chosen.fence, chosen.why.contains(why)), (fence, true), "{chosen:?}");
    }

    #[test]
    fn without_a_word_it_is_what_is_safe() {
        let one = "Cluster { Name = k }";
        check(one, Some(true), Fence::None, "every Storage daemon checks epochs");
        check(one, Some(false), Fence::Required, "st checks no epochs");
        check(one, None, Fence::Required, "is not known yet");
        let other = "Cluster { Name = k }\nInstance { Name = b; Address = 127.0.0.2 }";
        check(other, Some(false), Fence::None, "instance b has no Fence Device");
        check("Cluster { Name = k; Fence = none }", Some(false), Fence::None, "as configured");
        check("Cluster { Name = k; Fence = required }", Some(true), Fence::Required, "as configured");
    }
}
