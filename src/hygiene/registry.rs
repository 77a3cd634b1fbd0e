//! A workspace's registry: `{"status": .., "agents": [{"id": .., "status": ..}, ..]}`.
//!
//! It belongs to others. So it is understood as far as is needed, and where a status changes, nothing but the bytes of
//! that status do: what runinit does not know, the order of the keys and the way it is written all stay.

use super::matching::as_tmux_names;
use super::pass::{Pass, Trouble};
use super::place::{Place, Reading};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An agent that says one of these has ended.
const ENDED: [&str; 4] = ["terminated", "completed", "error", "failed"];
/// What becomes of an agent whose session was ended.
const TERMINATED: &str = "terminated";

/// What a registry says about an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// It has ended, in the registry's own word.
    Ended(String),
    /// It is listed, and has not.
    Lives,
    /// It is not listed.
    NotListed,
}

/// A registry that could be understood.
#[derive(Debug)]
pub(super) struct Registry<'a> {
    text: &'a str,
    document: Document<'a>,
    agents: Vec<Agent<'a>>,
}

#[derive(Debug, Deserialize)]
struct Document<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    agents: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "there")]
    status: Option<&'a RawValue>,
}

#[derive(Debug)]
struct Agent<'a> {
    object: &'a str,
    /// As tmux would write it.
    id: String,
    status: Option<&'a str>,
}

/// A key that is there, even if its value is null.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads an object. serde would take the values of an array for its fields, one after the other, and what is in place of a
/// status there means something else.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    // JSON's own blanks (RFC 8259, section 2).
    if text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[') {
        return Err("it is an array, and no object".to_owned());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// A string's own text; anything else as it is written.
fn text_of(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())
}

impl<'a> Registry<'a> {
    /// Understands a registry, or says why that cannot be.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let document: Document<'_> = object(text)?;
        let entries = document.agents.iter().flatten().map(|raw| {
            let entry: Entry<'_> = object(raw.get()).map_err(|error| format!("an agent: {error}"))?;
            let id = as_tmux_names(&text_of(entry.id.get()));
            Ok(Agent { object: raw.get(), id, status: entry.status.map(RawValue::get) })
        });
        let agents = entries.collect::<Result<_, String>>()?;
        Ok(Self { text, document, agents })
    }

    /// The status of the whole task.
    pub(super) fn status(&self) -> Option<String> {
        self.document.status.map(|raw| text_of(raw.get()))
    }

    /// What is said about the agent of this id; `None` if there is no list of agents at all.
    pub(super) fn says(&self, agent: &str) -> Option<Says> {
        self.document.agents.as_ref()?;
        let mut says = Says::NotListed;
        for entry in self.agents.iter().filter(|entry| entry.id == agent) {
            let status = entry.status.map(text_of).unwrap_or_default();
            if !ENDED.contains(&status.as_str()) {
                return Some(Says::Lives);
            }
            says = Says::Ended(status);
        }
        Some(says)
    }

    /// The registry with this agent terminated; `None` if it does not list it, or says so already.
    pub(super) fn with_terminated(&self, agent: &str) -> Option<String> {
        let word = format!("{TERMINATED:?}");
        let mut text = self.text.to_owned();
        // From the last to the first, so that what was found before is still where it was.
        for entry in self.agents.iter().rev().filter(|entry| entry.id == agent) {
            if let Some(status) = entry.status {
                let at = self.offset_of(status);
                text.replace_range(at..at + status.len(), &word);
            } else {
                // It has an id, so other keys follow.
                let at = self.offset_of(entry.object) + 1;
                text.insert_str(at, &format!("\"status\": {word}, "));
            }
        }
        (text != self.text).then_some(text)
    }

    /// Where a part of the text is.
    fn offset_of(&self, part: &str) -> usize {
        part.as_ptr() as usize - self.text.as_ptr() as usize
    }
}

/// Writes down that the agent of a session that was ended is terminated, in the first workspace that lists it. A dry run
/// only says so.
pub(super) fn terminate(pass: &mut Pass<'_>, place: &mut Place<'_>, session: &str) {
    for (workspace, agent) in place.candidates(session) {
        if terminate_in(pass, place, &workspace, &agent) {
            return;
        }
    }
}

/// True if the workspace lists the agent.
fn terminate_in(pass: &mut Pass<'_>, place: &mut Place<'_>, workspace: &str, agent: &str) -> bool {
    let path = place.path(workspace);
    let mut is_listed = false;
    let mut change = |text: &str| {
        let registry = Registry::parse(text).ok()?;
        is_listed = matches!(registry.says(agent), Some(Says::Ended(_) | Says::Lives));
        registry.with_terminated(agent)
    };
    if pass.is_dry() {
        if let Reading::Read(contents) = place.read(pass, workspace)
            && let Some(changed) = change(&contents.text)
        {
            pass.tell(&format!("would write to {path} that {agent} is {TERMINATED}"));
            place.suppose(workspace, changed);
        }
        return is_listed;
    }
    let until = pass.lock_until();
    match place.workspaces.rewrite(workspace, &place.wanted.registry, until, change) {
        Ok(true) => {
            pass.tell(&format!("{agent} is {TERMINATED} now in {path}"));
            place.forget(workspace);
        }
        Ok(false) => {}
        Err(error) => {
            let text = format!("cannot write to {path} that {agent} is {TERMINATED}: {error}");
            pass.warn(Trouble { key: format!("update {path}"), text });
        }
    }
    is_listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn says(text: &str, agent: &str) -> Option<Says> {
        Registry::parse(text).unwrap().says(agent)
    }

    #[test]
    fn an_agent_lives_unless_its_status_is_one_of_four() {
        for status in ENDED {
            let text = json!({"status": "active", "agents": [{"id": "a", "status": status}]}).to_string();
            assert_eq!(says(&text, "a"), Some(Says::Ended(status.to_owned())));
            assert_eq!(says(&text, "ab"), Some(Says::NotListed));
        }
        for status in [json!("running"), json!("Completed"), json!(null), json!(7)] {
            let text = json!({"agents": [{"id": "a", "status": status}]}).to_string();
            assert_eq!(says(&text, "a"), Some(Says::Lives));
        }
        assert_eq!(says(r#"{"agents": [{"id": "a"}]}"#, "a"), Some(Says::Lives));
        assert_eq!(says(r#"{"agents": [{"id": 7}]}"#, "7"), Some(Says::Lives));
        assert_eq!(says(r#"{"agents": [{"id": "a.b"}]}"#, "a_b"), Some(Says::Lives));
        let twice = r#"{"agents": [{"id": "a", "status": "running"}, {"id": "a", "status": "error"}]}"#;
        assert_eq!(says(twice, "a"), Some(Says::Lives));
    }

    #[test]
    fn what_has_another_shape_is_not_understood() {
        let wrong = [
            "",
            "{",
            "[]",
            "null",
            "{\"agents\": {}}",
            "{\"agents\": [1]}",
            "[\"completed\", []]",
            "{\"agents\": [[\"a\"]]}",
            "{\"agents\": [ [\"a\", \"error\"] ]}",
            "{\"agents\": [{\"status\": \"error\"}]}",
            "{\"agents\": [{\"id\": \"a\", \"status\": \"error\", \"status\": \"running\"}]}",
            "{\"agents\": []} x",
        ];
        for text in wrong {
            assert!(Registry::parse(text).is_err(), "{text}");
        }
        assert_eq!(says("{\"status\": \"completed\"}", "a"), None);
    }

    #[test]
    fn only_the_status_changes() {
        let text = "{ \"z\": 1.50, \"agents\" : [\n\t{\"status\":\"running\" , \"id\": \"a\", \"n\": 99999999999999999999},\
                    {\"id\":\"b\",\"status\":null}, {\"id\": \"c\"}], \"status\": \"running\" }\n";
        let with = |agent| Registry::parse(text).unwrap().with_terminated(agent);
        assert_eq!(with("a").unwrap(), text.replacen("\"running\"", "\"terminated\"", 1));
        assert_eq!(with("b").unwrap(), text.replace("null", "\"terminated\""));
        assert_eq!(
            with("c").unwrap(),
            text.replace("{\"id\": \"c\"}", "{\"status\": \"terminated\", \"id\": \"c\"}")
        );
        assert_eq!(with("d"), None);
        let terminated = with("a").unwrap();
        assert_eq!(Registry::parse(&terminated).unwrap().with_terminated("a"), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_else_is_kept(
            extra in proptest::collection::btree_map("[A-Z]{1,4}", any_json(), 0..4),
            agents in proptest::collection::vec(("[a-c]", proptest::option::of(any_json()), any_json()), 0..5),
            pretty in any::<bool>(),
        ) {
            let mut document: serde_json::Map<String, Value> = extra.into_iter().collect();
            let listed = agents.into_iter().map(|(id, status, more)| {
                let mut agent = json!({"id": id, "more": more});
                if let Some(status) = status {
                    agent["status"] = status;
                }
                agent
            });
            document.insert("agents".to_owned(), Value::Array(listed.collect()));
            let mut document = Value::Object(document);
            let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
            let text = text.unwrap();
            let registry = Registry::parse(&text).unwrap();
            let written = registry.with_terminated("a").unwrap_or_else(|| text.clone());
            for agent in document["agents"].as_array_mut().unwrap() {
                if agent["id"] == "a" {
                    agent["status"] = json!("terminated");
                }
            }
            prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), document);
        }
    }
}
