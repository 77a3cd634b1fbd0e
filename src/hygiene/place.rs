//! The workspaces and what their registries say, each read once in a pass.

use super::matching::candidates;
use super::orphans::Known;
use super::pass::{Pass, Trouble};
use super::registry::Registry;
use crate::core::hygiene::Sessions;
use crate::os::workspaces::{Contents, Workspaces};
use std::collections::BTreeMap;
use std::io::Result;
use std::time::SystemTime;

/// Where agents work.
pub(super) struct Place<'a> {
    pub(super) wanted: &'a Sessions,
    pub(super) workspaces: Workspaces,
    /// Those that exist.
    pub(super) names: Vec<String>,
    read: BTreeMap<String, Reading>,
}

/// What reading a registry came to.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    /// There is none.
    Missing,
    /// It cannot be read; that was told.
    Unreadable,
    /// It was read, and can be understood.
    Read(Contents),
}

impl<'a> Place<'a> {
    pub(super) fn new(wanted: &'a Sessions, workspaces: Workspaces) -> Result<Self> {
        let names = workspaces.names()?;
        Ok(Self { wanted, workspaces, names, read: BTreeMap::new() })
    }

    /// The name of a workspace's registry, for people.
    pub(super) fn path(&self, workspace: &str) -> String {
        self.wanted.workspaces.join(workspace).join(&self.wanted.registry).display().to_string()
    }

    /// The workspaces that a session may belong to.
    pub(super) fn candidates(&self, session: &str) -> Vec<(String, String)> {
        let found = candidates(session, &self.wanted.prefix, &self.names);
        found.into_iter().map(|(workspace, agent)| (workspace.to_owned(), agent.to_owned())).collect()
    }

    /// What is known of an agent in a workspace.
    pub(super) fn known(&mut self, pass: &mut Pass<'_>, workspace: &str, agent: &str) -> Known {
        let contents = match self.read(pass, workspace) {
            Reading::Missing => return Known::NoRegistry,
            Reading::Unreadable => return Known::Unknown,
            Reading::Read(contents) => contents,
        };
        if let Some(says) = Registry::parse(&contents.text).ok().and_then(|registry| registry.says(agent)) {
            return Known::Said(says);
        }
        self.warn(pass, workspace, "it has no list of agents");
        Known::Unknown
    }

    /// A workspace's registry.
    pub(super) fn read(&mut self, pass: &mut Pass<'_>, workspace: &str) -> Reading {
        if let Some(reading) = self.read.get(workspace) {
            return reading.clone();
        }
        let read = self.workspaces.read(workspace, &self.wanted.registry, pass.lock_until());
        let understood = read.map_err(|error| error.to_string()).and_then(|contents| match contents {
            None => Ok(Reading::Missing),
            Some(contents) => Registry::parse(&contents.text).map(|_| ()).map(|()| Reading::Read(contents)),
        });
        let reading = understood.unwrap_or_else(|why| {
            self.warn(pass, workspace, &why);
            Reading::Unreadable
        });
        self.read.insert(workspace.to_owned(), reading.clone());
        reading
    }

    /// A registry was changed: it is read once more when it is asked for.
    pub(super) fn forget(&mut self, workspace: &str) {
        self.read.remove(workspace);
    }

    /// A registry would have been changed: what comes after it in a dry run takes it for as new as that.
    pub(super) fn suppose(&mut self, workspace: &str, text: String) {
        let contents = Contents { text, modified: SystemTime::now() };
        self.read.insert(workspace.to_owned(), Reading::Read(contents));
    }

    fn warn(&self, pass: &mut Pass<'_>, workspace: &str, why: &str) {
        let path = self.path(workspace);
        let text =
            format!("cannot tell from {path} who is needed: {why}; its sessions and the workspace are kept");
        pass.warn(Trouble { key: format!("registry {path}"), text });
    }
}
