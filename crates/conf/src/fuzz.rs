//! Entry points for fuzzing: any bytes in, no panic, and what is accepted keeps its promises.

use crate::units::{format_time, parse_size, parse_speed, parse_time};
use crate::{
    ClientConfig, Config, ConsoleConfig, DirectorConfig, StorageConfig, TextLoader, TopologyConfig, load_text,
};

/// Reads the bytes as each daemon's configuration; findings are rendered, since that is where positions are used.
pub fn fuzz_config(data: &[u8]) {
    read::<DirectorConfig>(data);
    read::<StorageConfig>(data);
    read::<ClientConfig>(data);
    read::<ConsoleConfig>(data);
    read::<TopologyConfig>(data);
}

fn read<C: Config>(data: &[u8]) {
    let mut loader = TextLoader::new("again", data);
    match load_text::<C>("fuzz", data.to_vec(), &mut loader) {
        Ok(loaded) => assert!(!loaded.warnings.has_errors(), "a configuration with errors was returned"),
        Err(findings) => {
            assert!(findings.has_errors(), "a configuration was refused without an error");
            assert!(!findings.render(false).is_empty());
            assert!(!findings.to_string().is_empty());
        }
    }
}

/// Reads the bytes as sizes, speeds and times; what a time prints as is read as the same time.
pub fn fuzz_units(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = (parse_size(text), parse_speed(text));
    if let Ok(time) = parse_time(text) {
        let printed = format_time(time);
        assert_eq!(parse_time(&printed.replace("secs", "seconds")), Ok(time), "{printed}");
    }
}
