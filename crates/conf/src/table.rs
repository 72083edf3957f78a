//! The directive table: one entry per directive feeds parser, checks, `show` and the manual.
//!
//! A resource is declared once with the [`resource!`](crate::table) macro: each line gives the directive's name, the
//! field of the typed struct, its type with unit, and its default, example and age. The struct, the table and the
//! builder come out of that one line, so they cannot disagree.

use crate::runscript::ShortForm;
use crate::value::Values;

/// Kind of a resource; the word before the brace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// `Director`.
    Director,
    /// `Console`.
    Console,
    /// `Client`; `FileDaemon` in the client's own file.
    Client,
    /// `Storage`.
    Storage,
    /// `Catalog`.
    Catalog,
    /// `Job`.
    Job,
    /// `JobDefs`.
    JobDefs,
    /// `Pool`.
    Pool,
    /// `FileSet`.
    FileSet,
    /// `Schedule`.
    Schedule,
    /// `Messages`.
    Messages,
    /// `Counter`.
    Counter,
    /// `Statistics`.
    Statistics,
    /// `Device`.
    Device,
    /// `Autochanger` of a Storage Daemon.
    Autochanger,
    /// `Cloud`.
    Cloud,
    /// `Cluster` (Holdfast).
    Cluster,
    /// `Instance` (Holdfast).
    Instance,
    /// `Fence Device` (Holdfast).
    FenceDevice,
    /// `Topology` (Holdfast): the whole of `holdfast-ha.conf`.
    Topology,
    /// `Data Centre` (Holdfast).
    DataCentre,
    /// `Node` (Holdfast).
    Node,
    /// `Quorum` (Holdfast).
    Quorum,
    /// `Failover Domain` (Holdfast).
    Domain,
    /// `Replicated Device` (Holdfast).
    ReplicatedDevice,
    /// A nested block, not a resource of its own.
    Block,
}

/// Whose configuration file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Daemon {
    /// `bacula-dir.conf`.
    Director,
    /// `bacula-sd.conf`.
    Storage,
    /// `bacula-fd.conf`.
    Client,
    /// `bconsole.conf`.
    Console,
    /// `holdfast-ha.conf`: no daemon's, the operator's.
    Topology,
}

impl Daemon {
    /// The word for it in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Director => "Director",
            Self::Storage => "Storage Daemon",
            Self::Client => "File Daemon",
            Self::Console => "Console",
            Self::Topology => "topology",
        }
    }
}

/// Type of a directive's value (spec/04 §1.3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A resource's name.
    Name,
    /// Text.
    Str,
    /// Text of at most 127 bytes.
    Str128,
    /// Text, last one wins when repeated (mail commands).
    Command,
    /// A path; `~` and `$VAR` are expanded by the loader unless it starts with `|`.
    Path,
    /// A secret, kept as lower-case hex MD5.
    Password,
    /// yes, no, true, false.
    Bool,
    /// A whole number, 0 or more.
    Uint,
    /// A whole number.
    Int,
    /// Bytes.
    Size,
    /// Bytes per second.
    Speed,
    /// A span of time, whole seconds.
    Time,
    /// One of these words.
    Words(&'static [&'static str]),
    /// Name of a resource.
    Ref(ResourceKind),
    /// Names of resources, comma separated, repeatable.
    RefList(ResourceKind),
    /// Texts, comma separated, repeatable.
    StrList,
    /// As [`Kind::StrList`]: what a console may use.
    Acl,
    /// A host name or address.
    Addr,
    /// A port number.
    Port,
    /// A block of addresses.
    AddrBlock,
    /// An IP address with the length of its network's prefix.
    Net,
    /// Some of them, comma separated, repeatable.
    NetList,
    /// Yes, no, or the name of a Storage.
    Changer,
    /// `RunScript { … }`.
    RunScript,
    /// A one-line script.
    ShortScript(ShortForm),
    /// `Include { … }`.
    Include,
    /// `Exclude { … }`.
    Exclude,
    /// A `Run =` line of a Schedule.
    Run,
    /// A message destination.
    Destination(crate::messages::DestinationKind),
}

impl Kind {
    /// The type as the manual names it, with its unit.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Name => "name".into(),
            Self::Str => "text".into(),
            Self::Str128 => "text (at most 127 bytes)".into(),
            Self::Command => "command".into(),
            Self::Path => "path".into(),
            Self::Password => "password".into(),
            Self::Bool => "yes/no".into(),
            Self::Uint => "number".into(),
            Self::Int => "number (may be negative)".into(),
            Self::Size => "size (bytes)".into(),
            Self::Speed => "speed (bytes/s)".into(),
            Self::Time => "time (seconds)".into(),
            Self::Words(words) => words.join(", "),
            Self::Ref(kind) => format!("name of a {}", kind.as_str()),
            Self::RefList(kind) => format!("names of {} resources", kind.as_str()),
            Self::StrList => "list of texts".into(),
            Self::Acl => "access list".into(),
            Self::Addr => "host".into(),
            Self::Port => "port".into(),
            Self::AddrBlock => "block of addresses".into(),
            Self::Net => "address/prefix".into(),
            Self::NetList => "list of address/prefix".into(),
            Self::Changer => "yes/no or name of a Storage".into(),
            Self::RunScript | Self::Include | Self::Exclude => "block".into(),
            Self::ShortScript(_) => "command (repeatable)".into(),
            Self::Run => "run line (repeatable)".into(),
            Self::Destination(_) => "destination".into(),
        }
    }

    /// Whether the directive is a block written without `=`.
    #[must_use]
    pub const fn is_block(self) -> bool {
        matches!(self, Self::RunScript | Self::Include | Self::Exclude)
    }

    /// Whether the directive may be given more than once with both values counting.
    #[must_use]
    pub const fn appends(self) -> bool {
        match self {
            Self::RefList(_)
            | Self::StrList
            | Self::Acl
            | Self::RunScript
            | Self::ShortScript(_)
            | Self::Include
            | Self::Exclude
            | Self::Run
            | Self::Destination(_)
            | Self::AddrBlock
            | Self::NetList => true,
            Self::Name
            | Self::Str
            | Self::Str128
            | Self::Command
            | Self::Path
            | Self::Password
            | Self::Bool
            | Self::Uint
            | Self::Int
            | Self::Size
            | Self::Speed
            | Self::Time
            | Self::Words(_)
            | Self::Ref(_)
            | Self::Addr
            | Self::Net
            | Self::Port
            | Self::Changer => false,
        }
    }
}

impl ResourceKind {
    /// The word before the brace.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Director => "Director",
            Self::Console => "Console",
            Self::Client => "Client",
            Self::Storage => "Storage",
            Self::Catalog => "Catalog",
            Self::Job => "Job",
            Self::JobDefs => "JobDefs",
            Self::Pool => "Pool",
            Self::FileSet => "FileSet",
            Self::Schedule => "Schedule",
            Self::Messages => "Messages",
            Self::Counter => "Counter",
            Self::Statistics => "Statistics",
            Self::Device => "Device",
            Self::Autochanger => "Autochanger",
            Self::Cloud => "Cloud",
            Self::Cluster => "Cluster",
            Self::Instance => "Instance",
            Self::FenceDevice => "Fence Device",
            Self::Topology => "Topology",
            Self::DataCentre => "Data Centre",
            Self::Node => "Node",
            Self::Quorum => "Quorum",
            Self::Domain => "Failover Domain",
            Self::ReplicatedDevice => "Replicated Device",
            Self::Block => "block",
        }
    }
}

/// One directive of one resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Directive {
    /// Name as the manual writes it; case and blanks do not count.
    pub name: &'static str,
    /// Other names it is accepted under.
    pub aliases: &'static [&'static str],
    /// Type of its value.
    pub kind: Kind,
    /// What it means, in a sentence or two.
    pub doc: &'static str,
    /// Value when it is not given, in the language itself; empty for none.
    pub default: &'static str,
    /// A value as it would be written.
    pub example: &'static str,
    /// First version of Bacula that knows it; `Holdfast` for our own.
    pub since: &'static str,
    /// Whether a resource without it is refused.
    pub required: bool,
    /// False while no code acts on it: using it is warned about.
    pub in_effect: bool,
    /// Whether it exists only to be accepted (`Subsys Directory`): no effect in Bacula either, no warning.
    pub ignored: bool,
    /// Whether each instance of a Director may have a value of its own (addresses, directories, certificates): it does not
    /// count when their configurations are compared.
    pub local: bool,
}

impl Directive {
    /// A directive with nothing optional set.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            doc,
            default: "",
            example: "",
            since: "",
            required: false,
            in_effect: true,
            ignored: false,
            local: false,
        }
    }

    /// With other names.
    #[must_use]
    pub const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// With a default.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }

    /// With an example value.
    #[must_use]
    pub const fn example(mut self, text: &'static str) -> Self {
        self.example = text;
        self
    }

    /// With the version that brought it.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = version;
        self
    }

    /// Mandatory.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Not yet acted upon: a warning says so.
    #[must_use]
    pub const fn pending(mut self) -> Self {
        self.in_effect = false;
        self
    }

    /// Accepted for compatibility; nothing in any version depends on it.
    #[must_use]
    pub const fn ignored(mut self) -> Self {
        self.ignored = true;
        self
    }

    /// Of this instance alone.
    #[must_use]
    pub const fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Whether its value is a secret, which no finding and no difference may show.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        is_secret(self.name)
    }

    /// Whether `text` would be taken as its value, references aside.
    #[must_use]
    pub fn accepts(&'static self, text: &str) -> bool {
        crate::check::read_value(self, text).is_some()
    }

    /// Whether `key`, already [`squeeze`]d, names this directive.
    #[must_use]
    pub fn is_called(&self, key: &str) -> bool {
        squeeze(self.name) == key || self.aliases.iter().any(|a| squeeze(a) == key)
    }
}

/// A resource of one daemon: its names and its directives.
#[derive(Debug, Clone, Copy)]
pub struct ResourceTable {
    /// What it is.
    pub kind: ResourceKind,
    /// Name as the manual writes it.
    pub name: &'static str,
    /// Other words before the brace.
    pub aliases: &'static [&'static str],
    /// What it is for.
    pub doc: &'static str,
    /// Its directives, in groups (its own, `Name` and `Description`, TLS).
    pub groups: &'static [&'static [Directive]],
    /// Whether code acts on the resource at all.
    pub in_effect: bool,
}

impl ResourceTable {
    /// All directives.
    pub fn directives(&self) -> impl Iterator<Item = &'static Directive> {
        self.groups.iter().flat_map(|g| g.iter())
    }

    /// The directive of a name in any case and with any blanks.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static Directive> {
        let key = squeeze(name);
        self.directives().find(|d| d.is_called(&key))
    }

    /// Whether `name` is the word for this resource.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let key = squeeze(name);
        squeeze(self.name) == key || self.aliases.iter().any(|a| squeeze(a) == key)
    }
}

/// Whether a directive of this name holds a secret: a fence agent's options have its password among them.
pub(crate) fn is_secret(directive: &str) -> bool {
    directive.ends_with("Password")
        || directive.ends_with("Secret Key")
        || directive == "Shared Secret"
        || directive == "Option"
}

/// Lower case without blanks: the form in which names of directives and resources are compared (spec/04 §1.1).
#[must_use]
pub fn squeeze(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_whitespace()).map(|c| c.to_ascii_lowercase()).collect()
}

/// A typed resource that is built from parsed values.
pub trait Resource: Sized {
    /// Its entry in the table.
    const TABLE: &'static ResourceTable;

    /// Builds it; absent directives take their defaults.
    fn build(values: &Values) -> Self;

    /// Its name.
    fn name(&self) -> &str;
}

/// Directives that every resource has.
pub const COMMON: &[Directive] = &[
    Directive::new(
        "Name",
        Kind::Name,
        "Name of the resource: letters, digits, `: . - _`, and blanks when quoted.",
    )
    .required(),
    Directive::new("Description", Kind::Str, "Free text."),
];

/// Declares a resource: struct, table entry and builder from one list of directives.
macro_rules! resource {
    (
        $(#[doc = $rdoc:literal])+
        $struct:ident = $kind:ident $rname:literal $([$($ralias:literal),*])? $(with $group:ident)? $(, $state:ident)? {
            $(
                $(#[doc = $doc:literal])+
                $name:literal => $field:ident: $ty:ty = $dkind:expr $(, $opt:ident($($arg:expr)?))* ;
            )*
        }
        $(also {
            $(
                $(#[doc = $adoc:literal])+
                $aname:literal = $akind:expr $(, $aopt:ident($($aarg:expr)?))* ;
            )*
        })?
    ) => {
        $(#[doc = $rdoc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $struct {
            /// Name of the resource.
            pub name: String,
            /// Free text.
            pub description: Option<String>,
            $($(#[doc = $doc])+ pub $field: $ty,)*
            $(#[doc = "TLS settings."] pub tls: $crate::tls::$group,)?
        }

        impl $crate::table::Resource for $struct {
            const TABLE: &'static $crate::table::ResourceTable = &$crate::table::ResourceTable {
                kind: $crate::table::ResourceKind::$kind,
                name: $rname,
                aliases: &[$($($ralias),*)?],
                doc: concat!($($rdoc),+),
                groups: &[
                    $crate::table::COMMON,
                    &[$($crate::table::Directive::new($name, $dkind, concat!($($doc),+))$(.$opt($($arg)?))*),*],
                    $(&[$($crate::table::Directive::new($aname, $akind, concat!($($adoc),+))$(.$aopt($($aarg)?))*),*],)?
                    $($crate::tls::$group::DIRECTIVES,)?
                ],
                in_effect: resource!(@state $($state)?),
            };

            fn build(values: &$crate::value::Values) -> Self {
                Self {
                    name: values.name().to_owned(),
                    description: values.get("Description"),
                    $($field: values.get($name),)*
                    $(tls: $crate::tls::$group::build(values),)?
                }
            }

            fn name(&self) -> &str {
                &self.name
            }
        }
    };
    (@state) => { true };
    (@state pending) => { false };
}
pub(crate) use resource;

/// Declares an enum of words as they stand in configuration files.
macro_rules! word_enum {
    ($(#[$edoc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal;)* }) => {
        $(#[$edoc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The words, for the table and diagnostics.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word of the value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value of a word, in any case.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                $(if $word.eq_ignore_ascii_case(word) { return Some(Self::$variant); })*
                None
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::value::FromValue for $name {
            fn from_value(value: Option<&$crate::value::Value>) -> Self {
                value
                    .and_then($crate::value::Value::word)
                    .and_then(Self::from_word)
                    .unwrap_or(Self::ALL[0])
            }
        }
    };
}
pub(crate) use word_enum;
