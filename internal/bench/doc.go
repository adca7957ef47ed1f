// Command bench measures the gateway of this source tree on this machine beside
// versitygw, an S3 gateway that stores plain files without encryption. Both run as
// separate processes on the same disk and take turns, so that the ratios are valid
// on a machine whose speed varies. The speed of the disk itself is measured in the
// same turns.
//
// It is not a test: it never fails because of speed. It leaves nothing behind
// except the tools that it built, in .tools/.
package main
