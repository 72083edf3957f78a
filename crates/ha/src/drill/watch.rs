//! When a Director serves: every instance is asked again and again, each on its own, so that a machine that is gone holds nobody up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conf::DirectorConfig;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::record::Tenure;
use crate::status::{Place, ask_within, command, places};

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(1);
/// Between two questions to one instance.
const PAUSE: Duration = Duration::from_millis(50);
/// A service that answered within this time is there.
const FRESH: Duration = Duration::from_secs(2);
/// A command that the catalog has a part in, and its answer.
const COMMAND: &str = ".sql query=\"SELECT 1\"";
const ANSWER: &str = "1\t";

/// An active instance has served a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) at: Instant,
    pub(super) by: Tenure,
}

/// The watch; it ends with its drop.
#[derive(Debug)]
pub(super) struct Watch {
    served: UnboundedReceiver<Served>,
    _probes: JoinSet<()>,
}

impl Watch {
    /// Begins to ask.
    pub(super) fn start(config: &Arc<DirectorConfig>) -> Self {
        let (sender, served) = unbounded_channel();
        let mut probes = JoinSet::new();
        for place in places(config) {
            probes.spawn(probe(Arc::clone(config), place, sender.clone()));
        }
        Self { served, _probes: probes }
    }

    /// The first command that was served in a later epoch.
    pub(super) async fn successor(&mut self, of: &Tenure) -> Option<Served> {
        loop {
            let served = self.served.recv().await?;
            if served.by.epoch > of.epoch {
                return Some(served);
            }
        }
    }

    /// Looks on until a time, and then until the service is there. Gives who served last and the longest time without a service.
    pub(super) async fn service(&mut self, from: Instant, until: Instant) -> Option<(Served, Duration)> {
        let (mut last, mut longest) = (from, Duration::ZERO);
        loop {
            let served = self.served.recv().await?;
            // One that was on its way when the fault was ordered says nothing.
            let gap = served.at.saturating_duration_since(last);
            longest = longest.max(gap);
            last = last.max(served.at);
            if served.at >= until && gap < FRESH {
                return Some((served, longest));
            }
        }
    }
}

async fn probe(config: Arc<DirectorConfig>, place: Place, sender: UnboundedSender<Served>) {
    loop {
        if let Some(by) = serves(&config, &place).await
            && sender.send(Served { at: Instant::now(), by }).is_err()
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn serves(config: &DirectorConfig, place: &Place) -> Option<Tenure> {
    let word = ask_within(config, place, LIMIT).await.ok()?;
    let epoch = word.epoch.filter(|_| word.role == "active")?;
    let said = command(config, place, COMMAND, LIMIT).await.ok()?;
    (said == ANSWER).then_some(Tenure { instance: word.instance, epoch })
}
