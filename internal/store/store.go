// Package store keeps on disk what training must not lose: the tensors of models, checkpoints and sweeps, records line
// by line, and the directories that runs and sweeps own. Four rules stand here, once:
//
//   - What is written carries a checksum, so that a flipped bit is found where it is read ([ParseTensors], [DecodeLine]).
//     Files without one, of earlier versions, are read as they are.
//   - A file is replaced whole: it is written beside the old one, brought to the disk, and renamed ([Replace]).
//   - A temporary file is called .vanilla-KEY.tmp. In a directory that a process has claimed, KEY is the name of the
//     file to be, and the next owner writes over what a killed one left. Elsewhere KEY is random, because others may be
//     writing the same file. Nobody removes a temporary file that it did not name itself.
//   - A directory belongs to one process at a time ([Claim]), and to one run or sweep for good ([Holds]).
package store

import (
	"errors"
	"io/fs"
	"os"
)

// Cause drops the operation and path that the os package puts before an error: the message around it names the file
// that the user knows.
func Cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}
