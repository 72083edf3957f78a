//! Entry for fuzzing: any bytes may come in as a configuration file, nothing may panic.

use crate::{ClientConfig, ConsoleConfig, DirectorConfig, StorageConfig, TextLoader, load};

/// Reads the bytes as every daemon's file; findings must render as well.
pub fn fuzz_config(data: &[u8]) {
    const NAME: &str = "fuzz.conf";
    let mut loader = TextLoader::new(NAME, data);
    let texts = [
        load::<DirectorConfig>(NAME, &mut loader).err(),
        load::<StorageConfig>(NAME, &mut loader).err(),
        load::<ClientConfig>(NAME, &mut loader).err(),
        load::<ConsoleConfig>(NAME, &mut loader).err(),
    ];
    for findings in texts.into_iter().flatten() {
        assert!(!findings.to_string().is_empty(), "a configuration that is refused must say why");
    }
}
