package tunnel

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ssh"
)

// krlMagic begins a key revocation list in the binary form that `ssh-keygen -k` makes (OpenSSH, PROTOCOL.krl, section 1).
const krlMagic = "SSHKRL\n\x00"

// Sections of a list (PROTOCOL.krl, sections 1 and 2).
const (
	krlCertificates = 1
	krlKey          = 2
	krlSHA1         = 3
	krlSHA256       = 5
	krlExtension    = 255

	krlSerials       = 0x20
	krlSerialRange   = 0x21
	krlSerialBitmap  = 0x22
	krlKeyID         = 0x23
	krlCertExtension = 0x39
)

// maxKRLBitmap is sshbuf.h's SSHBUF_MAX_BIGNUM, in bytes, and one for the sign.
const maxKRLBitmap = 16384/8 + 1

var errKRL = errors.New("it is damaged")

// krlRevokes tells whether a key revocation list has the key, or of a certificate the authority. All of the list is read before the answer counts:
// an error says that part of it is not understood, and that nothing can be said of any key. A list that is signed is among those, as it is for
// OpenSSH since 9.4.
func krlRevokes(data []byte, key ssh.PublicKey) (bool, error) {
	found, err := krlHas(data, key)
	if err != nil || found {
		return found, err
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		return krlHas(data, cert.SignatureKey)
	}
	return false, nil
}

func krlHas(data []byte, key ssh.PublicKey) (bool, error) {
	s := cryptobyte.String(data)
	var version uint32
	var number, date, flags uint64
	var reserved, comment cryptobyte.String
	if !s.Skip(len(krlMagic)) || !s.ReadUint32(&version) {
		return false, errKRL
	}
	if version != 1 {
		return false, fmt.Errorf("it is a revocation list of version %d, which is not known", version)
	}
	if !s.ReadUint64(&number) || !s.ReadUint64(&date) || !s.ReadUint64(&flags) || !readString(&s, &reserved) || !readString(&s, &comment) {
		return false, errKRL
	}
	blob := plainKey(key).Marshal()
	sha1sum, sha256sum := sha1.Sum(blob), sha256.Sum256(blob)
	found := false
	for !s.Empty() {
		var kind uint8
		var section cryptobyte.String
		if !s.ReadUint8(&kind) || !readString(&s, &section) {
			return false, errKRL
		}
		var has bool
		var err error
		switch kind {
		case krlKey:
			has, err = krlList(section, blob)
		case krlSHA1:
			has, err = krlList(section, sha1sum[:])
		case krlSHA256:
			has, err = krlList(section, sha256sum[:])
		case krlCertificates:
			has, err = krlCertSection(section, key)
		case krlExtension:
			err = krlOptional(section)
		default:
			err = fmt.Errorf("it has a section of kind %d, which is not known", kind)
		}
		if err != nil {
			return false, err
		}
		found = found || has
	}
	return found, nil
}

// readString reads a string as SSH writes it (RFC 4251, section 5).
func readString(s *cryptobyte.String, out *cryptobyte.String) bool {
	var n uint32
	return s.ReadUint32(&n) && uint64(n) <= uint64(len(*s)) && s.ReadBytes((*[]byte)(out), int(n))
}

// krlList looks for a string in a list of them.
func krlList(section cryptobyte.String, want []byte) (found bool, err error) {
	for !section.Empty() {
		var one cryptobyte.String
		if !readString(&section, &one) {
			return false, errKRL
		}
		found = found || string(one) == string(want)
	}
	return found, nil
}

// krlOptional passes over an extension, unless the list says that it must be understood.
func krlOptional(section cryptobyte.String) error {
	var name, contents cryptobyte.String
	var critical uint8
	if !readString(&section, &name) || !section.ReadUint8(&critical) || !readString(&section, &contents) || !section.Empty() {
		return errKRL
	}
	if critical != 0 {
		return fmt.Errorf("it has an extension %s, which is not known", quoteRemote(string(name)))
	}
	return nil
}

// krlCertSection reads which certificates of an authority are revoked (PROTOCOL.krl, section 2). A serial number of 0 is one that the authority
// did not give (krl.c, is_cert_revoked).
func krlCertSection(section cryptobyte.String, key ssh.PublicKey) (found bool, err error) {
	var ca, reserved cryptobyte.String
	if !readString(&section, &ca) || !readString(&section, &reserved) {
		return false, errKRL
	}
	cert, isCert := key.(*ssh.Certificate)
	if !isCert {
		cert = &ssh.Certificate{}
	}
	ours := isCert && (len(ca) == 0 || string(ca) == string(cert.SignatureKey.Marshal()))
	for !section.Empty() {
		var kind uint8
		var part cryptobyte.String
		if !section.ReadUint8(&kind) || !readString(&section, &part) {
			return false, errKRL
		}
		var has bool
		switch kind {
		case krlKeyID:
			has, err = krlList(part, []byte(cert.KeyId))
		case krlCertExtension:
			err = krlOptional(part)
		default:
			has, err = krlSerial(kind, part, cert.Serial)
			has = has && cert.Serial != 0
		}
		if err != nil {
			return false, err
		}
		found = found || has && ours
	}
	return found, nil
}

// krlSerial looks for a serial number in a list, a range or a bitmap of them.
func krlSerial(kind uint8, part cryptobyte.String, serial uint64) (found bool, err error) {
	var low, high uint64
	switch kind {
	case krlSerials:
		for !part.Empty() {
			if !part.ReadUint64(&low) {
				return false, errKRL
			}
			found = found || low == serial
		}
		return found, nil
	case krlSerialRange:
		if !part.ReadUint64(&low) || !part.ReadUint64(&high) || !part.Empty() || low > high {
			return false, errKRL
		}
		return low <= serial && serial <= high, nil
	case krlSerialBitmap:
		var bits cryptobyte.String
		if !part.ReadUint64(&low) || !readString(&part, &bits) || !part.Empty() || len(bits) > maxKRLBitmap || len(bits) > 0 && bits[0] >= 0x80 {
			return false, errKRL
		}
		offset := serial - low
		return serial >= low && offset < uint64(len(bits))*8 && new(big.Int).SetBytes(bits).Bit(int(offset)) == 1, nil
	}
	return false, fmt.Errorf("it has certificates listed in a way (%#x) that is not known", kind)
}
