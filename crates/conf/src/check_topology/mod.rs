//! What holds among the resources of a topology: every mistake that would show only when a machine is lost.

mod addresses;
mod devices;
mod domains;
mod fencing;
mod names;
mod quorum;
mod services;

use crate::diag::Severity;
use crate::director::FenceDevice;
use crate::parse::{Parser, RawResource};
use crate::source::Span;
use crate::table::{Resource, ResourceKind};
use crate::topology::{
    Catalog, DataCentre, Director, Domain, Engine, Node, Quorum, ReplicatedDevice, Storage, Topology,
};

/// A resource, typed, and where it is written.
struct Item<'a, T> {
    raw: &'a RawResource,
    value: T,
}

impl<T> Item<'_, T> {
    /// Where a directive is written; the resource's word when it is not.
    fn at(&self, directive: &str) -> Span {
        self.raw.values.span(directive).unwrap_or(self.raw.header)
    }

    fn header(&self) -> Span {
        self.raw.header
    }
}

/// All resources, typed.
struct Site<'a> {
    topology: Vec<Item<'a, Topology>>,
    data_centres: Vec<Item<'a, DataCentre>>,
    nodes: Vec<Item<'a, Node>>,
    quorum: Vec<Item<'a, Quorum>>,
    fence_devices: Vec<Item<'a, FenceDevice>>,
    domains: Vec<Item<'a, Domain>>,
    devices: Vec<Item<'a, ReplicatedDevice>>,
    directors: Vec<Item<'a, Director>>,
    catalogs: Vec<Item<'a, Catalog>>,
    storages: Vec<Item<'a, Storage>>,
}

impl Site<'_> {
    fn engine(&self) -> Engine {
        self.topology.first().map_or(Engine::Pacemaker, |topology| topology.value.engine)
    }

    fn node(&self, name: &str) -> Option<&Item<'_, Node>> {
        self.nodes.iter().find(|node| node.value.name == name)
    }

    /// The nodes of a domain; names that do not resolve are reported elsewhere.
    fn nodes_of<'a>(&'a self, domain: &'a Domain) -> impl Iterator<Item = &'a Item<'a, Node>> {
        domain.nodes.iter().filter_map(|name| self.node(name))
    }

    fn domain(&self, name: &str) -> Option<&Item<'_, Domain>> {
        self.domains.iter().find(|domain| domain.value.name == name)
    }
}

/// What was found.
#[derive(Default)]
struct Findings(Vec<(Severity, Span, String, String)>);

impl Findings {
    fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.0.push((Severity::Error, span, message.into(), help.into()));
    }

    fn warning(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.0.push((Severity::Warning, span, message.into(), help.into()));
    }
}

impl Parser<'_> {
    /// The checks of a topology.
    pub(crate) fn check_topology(&mut self) {
        self.fill_defaults();
        self.exactly_one_topology();
        self.check_at_least_one(ResourceKind::Node);
        self.check_at_least_one(ResourceKind::Domain);
        let mut findings = Findings::default();
        let site = Site {
            topology: self.items(),
            data_centres: self.items(),
            nodes: self.items(),
            quorum: self.items(),
            fence_devices: self.items(),
            domains: self.items(),
            devices: self.items(),
            directors: self.items(),
            catalogs: self.items(),
            storages: self.items(),
        };
        names::check(&site, &mut findings);
        addresses::check(&site, &mut findings);
        fencing::check(&site, &mut findings);
        domains::check(&site, &mut findings);
        devices::check(&site, &mut findings);
        services::check(&site, &mut findings);
        quorum::check(&site, &mut findings);
        for (severity, span, message, help) in findings.0 {
            self.lexer.finding(severity, message, Some(span), Some(help));
        }
    }

    fn exactly_one_topology(&mut self) {
        self.check_at_least_one(ResourceKind::Topology);
        for kind in [ResourceKind::Topology, ResourceKind::Quorum] {
            let second = self.resources.iter().filter(|r| r.table.kind == kind).nth(1).map(|r| r.header);
            if let Some(span) = second {
                let message = format!("there is more than one {} resource", kind.as_str());
                self.lexer.error(span, message, "remove this one".to_owned());
            }
        }
    }

    fn items<T: Resource>(&self) -> Vec<Item<'_, T>> {
        self.resources
            .iter()
            .filter(|raw| raw.table.kind == T::TABLE.kind)
            .map(|raw| Item { raw, value: T::build(&raw.values) })
            .collect()
    }
}
