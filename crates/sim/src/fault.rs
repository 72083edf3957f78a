//! What goes wrong, and what mends it.

use crate::client::ClientDaemon;
use crate::message::Pid;
use crate::net::DEAD_AFTER;
use crate::plan::{Cut, Fault, Millis};
use crate::world::{Event, World};

impl World {
    pub(crate) fn fail(&mut self, fault: Fault) {
        match fault {
            Fault::Crash { pid, fin, power, down } => self.crash(pid, fin, power, down),
            Fault::Freeze { pid, span } => self.freeze(pid, span),
            Fault::Cut { a, b, cut, span } => self.cut(a, b, cut, span),
            Fault::Switchover => self.switchover(),
            Fault::CatalogAway { span } => {
                self.catalog_away += 1;
                self.look_at_catalog();
                self.push(self.now + span, Event::CatalogBack);
            }
            Fault::Failover => self.database.fail_over(),
            Fault::FreezeAtPermit { span } => self.traps.permit = Some(span),
            Fault::FreezeAtCommand { span } => self.traps.command = Some(span),
            Fault::LateAnswer { late, span } => self.traps.answer = Some((late, span)),
        }
    }

    fn crash(&mut self, pid: Pid, fin: bool, power: bool, down: Millis) {
        if !self.is_up(pid) {
            return;
        }
        self.disturb(pid, down);
        for conn in self.net.of(pid) {
            self.end_conn(pid, conn, fin);
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.is_up = false;
            process.backlog.clear();
            process.frozen_until = 0;
        }
        match pid {
            Pid::Director(at) => self.directors[at].crash(),
            Pid::Storage(at) => {
                if power {
                    self.oracle.counts.power_cuts += 1;
                    let disk = self.storages[at].disk();
                    disk.lose_power(&mut self.rng);
                }
            }
            Pid::Client(at) => self.clients[at] = ClientDaemon::default(),
            Pid::Catalog => {}
        }
        self.push(self.now + down, Event::Start(pid));
    }

    pub(crate) fn start(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid).filter(|process| !process.is_up) else { return };
        process.is_up = true;
        process.life += 1;
        self.set_clocks();
        match pid {
            Pid::Director(at) => self.director_starts(at),
            Pid::Storage(at) => self.storage_starts(at),
            Pid::Client(_) | Pid::Catalog => {}
        }
    }

    /// Stands still; timers that are due meanwhile run when it wakes up.
    pub(crate) fn freeze(&mut self, pid: Pid, span: Millis) {
        let until = self.now + span;
        let Some(process) = self.processes.get_mut(&pid).filter(|process| process.is_up) else { return };
        process.frozen_until = process.frozen_until.max(until);
        self.push(until, Event::Thaw(pid));
    }

    pub(crate) fn thaw(&mut self, pid: Pid) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid).filter(|p| p.is_up && p.frozen_until <= now) else {
            return;
        };
        let backlog = std::mem::take(&mut process.backlog);
        let life = process.life;
        let mut after = 0;
        for input in backlog {
            // One after the other, each with a little time, as threads get it.
            after += self.draw(0, 2);
            self.push(self.now + after, Event::Input(pid, life, input));
        }
    }

    pub(crate) fn cut(&mut self, a: Pid, b: Pid, cut: Cut, span: Millis) {
        if a != Pid::Catalog && b != Pid::Catalog {
            self.disturb(a, span);
            self.disturb(b, span);
        }
        let mut links = vec![(a, b)];
        if cut == Cut::Both {
            links.push((b, a));
        }
        for (from, to) in links {
            self.net.cut(from, to);
            self.push(self.now + span, Event::Mend(from, to));
        }
        self.look_at_catalog();
    }

    /// Jobs that this may keep from ending well.
    fn disturb(&mut self, pid: Pid, span: Millis) {
        let now = self.now;
        for (job, ordered) in &mut self.oracle.ordered {
            let is_its = match pid {
                Pid::Storage(at) => ordered.storage == at,
                Pid::Client(at) => ordered.client == at,
                Pid::Director(_) | Pid::Catalog => false,
            };
            if is_its && !self.oracle.ended.contains_key(job) {
                ordered.is_disturbed = true;
            }
        }
        // A connection may take so long to notice.
        let until = now + span + DEAD_AFTER + 5_000;
        match pid {
            Pid::Storage(_) | Pid::Client(_) => {
                self.oracle.disturbed_until = self.oracle.disturbed_until.max(until);
            }
            Pid::Director(_) | Pid::Catalog => {}
        }
    }

    /// Who can reach the catalog now.
    pub(crate) fn look_at_catalog(&mut self) {
        for at in 0..self.directors.len() {
            let me = Pid::Director(at);
            let is_cut = self.net.is_cut(me, Pid::Catalog) || self.net.is_cut(Pid::Catalog, me);
            self.directors[at].access.set_reachable(!is_cut && self.catalog_away == 0);
        }
    }
}
