// Command bench measures the gateway of this source tree on this machine beside
// versitygw, an S3 gateway that keeps plain files and does not encrypt. Both run
// as processes of their own over the same disk and take turns, so that the
// ratios hold on a machine whose speed wavers. What the disk itself can do is
// measured in the same turns.
//
// It is not a test: nothing fails because it is slow. It leaves nothing behind
// but the tools it built, in .tools/.
package main
