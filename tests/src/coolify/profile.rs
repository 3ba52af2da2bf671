//! What each version does its own way, by Coolify's history.

/// A version.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) version: String,
    /// Releases come after all betas.
    order: (u32, u32, u32, u32),
}

impl Profile {
    pub(super) fn of(version: &str) -> Self {
        Profile { version: version.into(), order: order(version) }
    }

    fn since(&self, version: &str) -> bool {
        self.order >= order(version)
    }

    /// `GET /deploy` no longer deploys; `settings` are part of an application; logs and secrets need read:sensitive everywhere.
    pub(super) fn is_strict(&self) -> bool {
        self.since("4.2.0")
    }

    /// A pinned commit is what is deployed.
    pub(super) fn honours_pins(&self) -> bool {
        self.since("4.2.0") || !self.since("4.0.0-beta.464")
    }

    /// The deployment is called by the branch's head, whatever was checked out.
    pub(super) fn calls_head(&self) -> bool {
        !self.since("4.2.0")
    }

    /// A deployment begins with the pinned commit's name, and keeps that commit whatever becomes of the pin.
    pub(super) fn starts_with_pin(&self) -> bool {
        self.since("4.1.0")
    }

    pub(super) fn has_rollback(&self) -> bool {
        self.since("4.3.0")
    }

    /// Rows of the same second are listed newest first.
    pub(super) fn orders_by_id(&self) -> bool {
        self.since("4.3.0")
    }

    pub(super) fn has_cancel(&self) -> bool {
        self.since("4.0.0-beta.436")
    }

    /// A cancellation takes effect and is answered with 500.
    pub(super) fn cancels_with_500(&self) -> bool {
        self.since("4.1.0") && !self.since("4.3.7")
    }

    pub(super) fn has_queue_limit(&self) -> bool {
        self.since("4.0.0-beta.454")
    }

    pub(super) fn finds_duplicates(&self) -> bool {
        self.since("4.0.0-beta.408")
    }

    /// A deployment that is there is not found by its id.
    pub(super) fn is_blind(&self) -> bool {
        self.since("4.0.0-beta.464") && !self.since("4.0.0-beta.468")
    }

    /// The list of an application's deployments shows their logs to everybody who may read.
    pub(super) fn lists_logs(&self) -> bool {
        !self.is_strict()
    }

    /// A deployment has the column `configuration_hash`.
    pub(super) fn hashes_settings(&self) -> bool {
        self.since("4.1.0")
    }

    /// A deployment has the column `docker_registry_image_tag`, for previews.
    pub(super) fn has_preview_tags(&self) -> bool {
        self.since("4.0.0-beta.471")
    }

    pub(super) fn checks_tags(&self) -> bool {
        self.since("4.1.2")
    }

    pub(super) fn writes_iso_times(&self) -> bool {
        self.since("4.0.0-beta.461")
    }
}

fn order(version: &str) -> (u32, u32, u32, u32) {
    let (release, beta) = match version.split_once("-beta.") {
        Some((release, beta)) => (release, beta.parse().expect("a number")),
        None => (version, u32::MAX),
    };
    let mut parts = release.split('.').map(|p| p.parse().expect("a number"));
    let mut part = || parts.next().expect("three numbers");
    (part(), part(), part(), beta)
}
