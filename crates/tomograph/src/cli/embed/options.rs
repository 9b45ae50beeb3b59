use clap::{Arg, ArgAction};
use serde_json::{Value, json};

use crate::cli::command_tree;

/// The whole command tree as data: what every command takes, in the order of its help. For bindings and their documentation.
pub fn options() -> Value {
    let mut tree = command_tree();
    // Fills in what follows from the rest: numbers of values, positions.
    tree.build();
    let commands = tree.get_subcommands().filter(|c| c.get_name() != "help").map(|command| {
        let args: Vec<Value> = command.get_arguments().filter(|a| !is_help(a)).map(argument).collect();
        json!({
            "command": command.get_name(),
            "about": command.get_about().map(ToString::to_string),
            "long_about": command.get_long_about().map(ToString::to_string),
            "arguments": args,
        })
    });
    commands.collect()
}

fn is_help(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version)
}

/// One argument: a positional one has no `long`.
fn argument(arg: &Arg) -> Value {
    let values = arg.get_num_args().unwrap_or_else(|| 0.into());
    let names: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let possible: Vec<String> = match values.takes_values() {
        true => arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect(),
        false => Vec::new(),
    };
    json!({
        "long": arg.get_long(),
        "aliases": arg.get_visible_aliases().unwrap_or_default(),
        "help": arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string),
        "heading": arg.get_help_heading(),
        "takes_value": values.takes_values(),
        "optional_value": values.takes_values() && values.min_values() == 0,
        "many_values": values.max_values() > 1,
        "repeated": matches!(arg.get_action(), ArgAction::Append),
        "delimiter": arg.get_value_delimiter(),
        "value_names": names,
        "possible": possible,
        "default": defaults,
        "required": arg.is_required_set(),
    })
}
