//! Storages and their cold spares in what an instance says of itself.

use crate::console::{Kind, Table};
use policy::spare::{Standing, Standings};
use serde::{Deserialize, Serialize};

/// A Storage and its cold spare, as the active instance knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    /// The Storage that jobs and Pools name.
    pub(crate) storage: String,
    /// Its cold spare.
    pub(crate) cold_spare: String,
    /// Which of them serves.
    pub(crate) serving: String,
    /// Which of them rests.
    pub(crate) resting: String,
    /// The storage epoch since which that is so.
    pub(crate) storage_epoch: u64,
}

/// All pairs, in the order of their names.
pub(crate) fn of(standings: &Standings) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = standings.iter().map(pair).collect();
    pairs.sort_by(|a, b| a.storage.cmp(&b.storage));
    pairs
}

fn pair(standing: &Standing) -> Pair {
    Pair {
        storage: standing.main.clone(),
        cold_spare: standing.spare.clone(),
        serving: standing.serving.clone(),
        resting: standing.resting().to_owned(),
        storage_epoch: standing.epoch.0,
    }
}

/// Their table; nothing where there are none.
pub(crate) fn table(pairs: &[Pair]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let columns = ["Storage", "Cold spare", "Serving", "Resting"].map(|name| (name, Kind::Text));
    let mut table = Table::new(&[columns.as_slice(), &[("Since storage epoch", Kind::Number)]].concat());
    for pair in pairs {
        let Pair { storage, cold_spare, serving, resting, storage_epoch } = pair;
        let cells = [storage, cold_spare, serving, resting].map(|cell| Some(cell.clone()));
        table.rows.push(cells.into_iter().chain([Some(storage_epoch.to_string())]).collect());
    }
    table.horizontal(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::StorageEpoch;

    #[test]
    fn who_serves_and_since_when() {
        let away = Standing::first("sd1", "spare").changed(StorageEpoch(6));
        let standings = Standings::new([("sd1", "spare"), ("a", "b")], vec![away]);
        let pairs = of(&standings);
        let told: Vec<_> =
            pairs.iter().map(|p| (p.serving.as_str(), p.resting.as_str(), p.storage_epoch)).collect();
        assert_eq!(told, [("a", "b", 1), ("spare", "sd1", 7)]);
        let text = table(&pairs);
        assert!(
            text.contains("Since storage epoch")
                && text.lines().any(|line| line.contains("spare") && line.contains('7')),
            "{text}"
        );
        assert_eq!(table(&[]), "");
    }
}
