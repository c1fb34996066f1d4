//! The smallest guest that does something: a firmware of its own, which echoes.

use std::path::Path;

/// What a guest says on its console when it starts, if somebody listens already.
pub const GUEST_BANNER: &str = "gatehouse\r\n";

/// Where the reset vector is, from the start of the last 64 KiB below 1 MiB and below 4 GiB.
const RESET: usize = 0xfff0;

/// `jmp f000:0000`
const JUMP: [u8; 5] = [0xea, 0x00, 0x00, 0x00, 0xf0];

/// Real-mode code at f000:0000. It sets a stack, the interrupt controller and the serial port up,
/// writes the text behind it, and then sleeps between bytes, so that a guest costs no time.
#[rustfmt::skip]
const CODE: &[u8] = &[
    0xfa,                               // cli
    0x31, 0xc0,                         // xor ax, ax
    0x8e, 0xd8, 0x8e, 0xd0,             // mov ds, ax; mov ss, ax
    0xbc, 0x00, 0x7c,                   // mov sp, 7c00
    0xc7, 0x06, 0x30, 0x00, 0x6b, 0x00, // mov word [30], 6b: the handler of IRQ 4, vector 0c
    0xc7, 0x06, 0x32, 0x00, 0x00, 0xf0, // mov word [32], f000
    0xb0, 0x11, 0xe6, 0x20,             // the interrupt controller: begin,
    0xb0, 0x08, 0xe6, 0x21,             // vectors from 08,
    0xb0, 0x04, 0xe6, 0x21,             // the second one at line 2,
    0xb0, 0x01, 0xe6, 0x21,             // 8086 mode,
    0xb0, 0xef, 0xe6, 0x21,             // only IRQ 4
    0xba, 0xfc, 0x03, 0xb0, 0x0b, 0xee, // the serial port: modem lines,
    0xba, 0xf9, 0x03, 0xb0, 0x01, 0xee, // interrupts for bytes received
    0xbe, 0x72, 0x00,                   // mov si, 72: the text
    0x2e, 0xac, 0x84, 0xc0, 0x74, 0x05, // 39: cs lodsb; test al, al; jz 44
    0xe8, 0x18, 0x00, 0xeb, 0xf5,       // call 5a; jmp 39
    0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, // 44: mov dx, 3fd; in al, dx; test al, 1
    0x75, 0x05,                         // jnz 51
    0xfb, 0xf4, 0xfa, 0xeb, 0xf3,       // sti; hlt; cli; jmp 44
    0xba, 0xf8, 0x03, 0xec,             // 51: mov dx, 3f8; in al, dx
    0xe8, 0x02, 0x00, 0xeb, 0xea,       // call 5a; jmp 44
    0x88, 0xc4,                         // 5a: mov ah, al
    0xba, 0xfd, 0x03,                   // mov dx, 3fd
    0xec, 0xa8, 0x20, 0x74, 0xfb,       // in al, dx; test al, 20; jz back
    0x88, 0xe0, 0xba, 0xf8, 0x03, 0xee, // mov al, ah; mov dx, 3f8; out dx, al
    0xc3,                               // ret
    0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, // 6b: push ax; end of interrupt; pop ax
    0xcf,                               // iret
];

/// The image of the firmware.
pub(super) fn firmware() -> Vec<u8> {
    /// `hlt`, where nothing else is.
    const NOTHING: u8 = 0xf4;
    let mut image = [CODE, GUEST_BANNER.as_bytes(), &[0]].concat();
    image.resize(RESET, NOTHING);
    image.extend(JUMP);
    image.resize(0x1_0000, NOTHING);
    image
}

/// A guest with this firmware. Its processor has no local APIC, which would have to be set up before
/// it lets an interrupt through.
pub(super) fn xml(name: &str, firmware: &Path) -> String {
    format!(
        "<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>2</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <loader>{}</loader>
  </os>
  <cpu mode='custom'>
    <model>qemu64</model>
    <feature policy='disable' name='apic'/>
  </cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='pty'/>
    <console type='pty'/>
    <graphics type='vnc'><listen type='none'/></graphics>
    <video><model type='none'/></video>
  </devices>
</domain>
",
        firmware.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_where_the_code_looks_for_it() {
        assert_eq!(CODE.len(), 0x72);
        assert_eq!(firmware().len(), 0x1_0000);
        assert_eq!(firmware()[RESET..RESET + 5], JUMP);
    }
}
