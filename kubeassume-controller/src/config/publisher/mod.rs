//! `publisher` and `publishers`: where documents are published.

mod azure;
mod endpoint;
mod file;
mod gcs;
mod oci;
mod s3;

use std::time::Duration;

use kubeassume_core::IssuerUrl;
use kubeassume_publishers::{Invalid, PublisherConfig, shown};

use super::section::Section;
use super::{HOUR, SECOND};

/// More places than this for one issuer are a mistake.
const MAX_PUBLISHERS: usize = 16;

/// One place of publication.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherEntry {
    /// Which backend, and how.
    pub config: PublisherConfig,
    /// Whether it holds a copy that the public reads at another URL than the issuer.
    pub mirror: bool,
}

/// What `publisher` or `publishers` say.
pub(super) struct Publishing {
    /// The one below the issuer and its mirrors; `None` when a field breaks a rule.
    pub(super) entries: Option<Vec<PublisherEntry>>,
    pub(super) cache_max_age: Duration,
    pub(super) sections: Vec<Section>,
}

pub(super) fn read(root: &mut Section, issuer: Option<&IssuerUrl>) -> Publishing {
    let single = !root.has("publishers");
    if !single && root.has("publisher") {
        root.problem(
            "publishers",
            "is there beside publisher, and both say where to publish",
            "move what publisher says into the list",
        );
    }
    let publisher = root.section(
        "publisher",
        "Where the two documents are published, if it is one place.",
    );
    let listed = root.sections(
        "publishers",
        "Where they are published, if it is several places: a list of what `publisher` describes. Exactly one is read \
         below the issuer; the others say `mirror: true`. Each is kept right on its own.",
    );
    let mut publishing = Publishing {
        entries: Some(Vec::new()),
        cache_max_age: SECOND * 300,
        sections: Vec::new(),
    };
    if single {
        publishing.read(publisher, issuer, true);
        return publishing;
    }
    publishing.sections.push(publisher.skipped());
    match listed {
        Some(listed) => {
            let count = listed.len();
            for entry in listed {
                publishing.read(entry, issuer, false);
            }
            publishing.check(root, count);
        }
        None => publishing.entries = None,
    }
    publishing
}

impl Publishing {
    fn read(&mut self, mut publisher: Section, issuer: Option<&IssuerUrl>, alone: bool) {
        let mirror = publisher.flag_or(
            "mirror",
            false,
            "`true` in a list of `publishers`: the same documents, read by the public at this place's own URL and \
             not below the issuer.",
        );
        if mirror && alone {
            publisher.problem(
                "mirror",
                "is true, and there is no publisher that it would be the mirror of",
                "remove it, or write a list: publishers",
            );
        }
        if mirror && publisher.has("cacheMaxAge") {
            publisher.problem(
                "cacheMaxAge",
                "is given for a mirror, whose documents have the headers of those below the issuer",
                "write it at the publisher without mirror",
            );
        }
        let cache_max_age = publisher.duration(
            "cacheMaxAge",
            SECOND * 300,
            Duration::ZERO..=HOUR * 24,
            "How long relying parties may keep a document (its `Cache-Control`); whole seconds.",
        );
        if cache_max_age.subsec_millis() != 0 {
            publisher.problem(
                "cacheMaxAge",
                "must be whole seconds",
                "write for example cacheMaxAge: 300s",
            );
        }
        if !mirror {
            self.cache_max_age = cache_max_age;
        }
        let role = Role { issuer, mirror };
        let (config, backends) = read_backends(&mut publisher, &role);
        self.sections.push(publisher);
        self.sections.extend(backends);
        match (config, &mut self.entries) {
            (Some(config), Some(entries)) => entries.push(PublisherEntry { config, mirror }),
            _ => self.entries = None,
        }
    }

    /// What can only be said of all of them.
    fn check(&mut self, root: &mut Section, count: usize) {
        if count == 0 || count > MAX_PUBLISHERS {
            root.problem(
                "publishers",
                &format!("must have 1 to {MAX_PUBLISHERS} entries, has {count}"),
                "write one for each place",
            );
            self.entries = None;
        }
        let Some(entries) = &self.entries else { return };
        let below_issuer = entries.iter().filter(|entry| !entry.mirror).count();
        if below_issuer != 1 {
            root.problem(
                "publishers",
                &format!("must have exactly one entry without mirror: true, has {below_issuer}"),
                "the one that the issuer's URL leads to is no mirror, all others are",
            );
        }
        for (index, entry) in entries.iter().enumerate() {
            let same = |other: &PublisherEntry| place(&other.config) == place(&entry.config);
            if let Some(first) = entries.iter().take(index).position(same) {
                root.problem(
                    "publishers",
                    &format!("has the same place in [{first}] and in [{index}]"),
                    "remove one, or give one of them another bucket or prefix",
                );
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    S3,
    Gcs,
    Azure,
    Oci,
    File,
    Endpoint,
}

fn read_backends(publisher: &mut Section, role: &Role<'_>) -> (Option<PublisherConfig>, [Section; 6]) {
    let kind = publisher.required_choice(
        "type",
        &[
            ("s3", Type::S3),
            ("gcs", Type::Gcs),
            ("azure", Type::Azure),
            ("oci", Type::Oci),
            ("file", Type::File),
            ("endpoint", Type::Endpoint),
        ],
        "Which of the backends below is used. The sections of the others may stay filled in.",
    );
    let mut s3 = publisher.section(
        "s3",
        "A bucket of Amazon S3, or of a server that speaks its protocol.",
    );
    let mut gcs = publisher.section("gcs", "A bucket of Google Cloud Storage.");
    let mut azure = publisher.section(
        "azure",
        "A container of Azure Blob Storage, or the static website of a storage account.",
    );
    let mut oci = publisher.section("oci", "A bucket of Oracle Cloud's Object Storage.");
    let mut file = publisher.section("file", "A directory that a web server serves.");
    let mut endpoint = publisher.section(
        "endpoint",
        "The built-in HTTPS server: every replica serves the documents itself, and a Service or load balancer leads \
         the issuer's URL to those that are ready.",
    );
    let read = [
        (Type::S3, s3::read(&mut s3, role).map(PublisherConfig::S3)),
        (Type::Gcs, gcs::read(&mut gcs, role).map(PublisherConfig::Gcs)),
        (
            Type::Azure,
            azure::read(&mut azure, role).map(PublisherConfig::Azure),
        ),
        (Type::Oci, oci::read(&mut oci, role).map(PublisherConfig::Oci)),
        (Type::File, file::read(&mut file, role).map(PublisherConfig::File)),
        (
            Type::Endpoint,
            endpoint::read(&mut endpoint, role).map(PublisherConfig::Endpoint),
        ),
    ];
    let mut sections = [s3, gcs, azure, oci, file, endpoint];
    let mut chosen = None;
    for (section, (own, config)) in sections.iter_mut().zip(read) {
        match kind == Some(own) {
            true => chosen = config,
            false => section.unused(),
        }
    }
    (chosen, sections)
}

/// What tells two places apart, however they are reached.
fn place(config: &PublisherConfig) -> String {
    let texts = |parts: &[Option<&str>]| {
        parts
            .iter()
            .map(|part| part.unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let of = |kind: &str, parts: &[Option<&str>]| format!("{kind}\n{}", texts(parts));
    match config {
        PublisherConfig::S3(s3) => {
            let parts = [
                Some(s3.bucket.as_str()),
                s3.prefix.as_deref(),
                s3.endpoint.as_deref(),
            ];
            of("s3", &parts)
        }
        PublisherConfig::Gcs(gcs) => of("gcs", &[Some(&gcs.bucket), gcs.prefix.as_deref()]),
        PublisherConfig::Azure(azure) => of(
            "azure",
            &[
                Some(&azure.storage_account),
                Some(&azure.container),
                azure.prefix.as_deref(),
            ],
        ),
        PublisherConfig::Oci(oci) => of(
            "oci",
            &[
                Some(&oci.namespace),
                Some(&oci.bucket),
                oci.prefix.as_deref(),
                oci.region.as_deref(),
            ],
        ),
        PublisherConfig::File(file) => of("file", &[file.path.to_str()]),
        PublisherConfig::Endpoint(endpoint) => of("endpoint", &[Some(&endpoint.listen.to_string())]),
        _ => String::new(),
    }
}

/// What a place is for: relying parties read below the issuer and nowhere else, a mirror is for everybody else.
struct Role<'a> {
    issuer: Option<&'a IssuerUrl>,
    mirror: bool,
}

impl Role<'_> {
    /// Whether a public URL, if one is given, fits.
    fn allows(&self, section: &mut Section, url: Option<&str>) -> Option<()> {
        let (Some(url), Some(issuer)) = (url, self.issuer) else {
            return Some(());
        };
        match (url == issuer.as_str(), self.mirror) {
            (true, false) | (false, true) => Some(()),
            (true, true) => {
                section.problem(
                    "publicURL",
                    "is the issuer, and a mirror is read at another URL",
                    "write the mirror's own URL, or leave it empty; or remove mirror",
                );
                None
            }
            (false, false) => {
                section.problem(
                    "publicURL",
                    &format!(
                        "is {}, the issuer is {:?}; they must be equal byte for byte (OpenID Connect Discovery \
                         1.0, section 4.3)",
                        shown(url),
                        issuer.as_str()
                    ),
                    "relying parties read below the issuer only: make the place public under that URL, or leave this \
                     empty",
                );
                None
            }
        }
    }

    /// Whether the address at which a bucket is read fits; `None` is not known yet: only the credential knows the
    /// region, and the controller compares when it starts.
    fn leads_to(
        &self,
        section: &mut Section,
        place: &str,
        own: Result<Option<IssuerUrl>, Invalid>,
    ) -> Option<()> {
        let issuer = self.issuer?;
        let (rule, fix) = match own {
            Ok(None) => return Some(()),
            Ok(Some(own)) if self.mirror => return self.allows(section, Some(own.as_str())),
            Ok(Some(own)) if own == *issuer => return Some(()),
            Ok(Some(own)) => (
                format!(
                    "is not given and the {place}'s own address is {:?}, the issuer is {:?}",
                    own.as_str(),
                    issuer.as_str()
                ),
                format!("if the issuer's URL leads to this {place}, say so: publicURL: <the issuer>"),
            ),
            Err(invalid) if self.mirror => (invalid.rule, "write the mirror's own URL".to_owned()),
            Err(invalid) => (invalid.rule, "write the issuer".to_owned()),
        };
        section.problem("publicURL", &rule, &fix);
        None
    }

    /// The URL of a place that has no address of its own: the issuer, and for a mirror what it has to say.
    fn elsewhere(&self, section: &mut Section, url: Option<String>) -> Option<IssuerUrl> {
        self.allows(section, url.as_deref())?;
        match (url, self.mirror) {
            (_, false) => self.issuer.cloned(),
            (None, true) => {
                section.problem(
                    "publicURL",
                    "is missing",
                    "write the URL at which the public reads the mirror",
                );
                None
            }
            (url, true) => section.parsed("publicURL", url, "write an https URL without a slash at its end"),
        }
    }
}
