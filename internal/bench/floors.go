//go:build linux

package main

import "fmt"

// floor is a speed that the gateway must have.
type floor struct {
	What     string
	Measured float64
	AtLeast  float64 `json:",omitempty"` // one of the two
	AtMost   float64 `json:",omitempty"`
	Met      bool
}

// Floors. Figures that depend on the machine are held against something
// measured in the same turns.
const (
	floorLarge = 0.7 // of the rival's speed
	floorSmall = 400 // durable PUTs a second on a disk that does floorDisk synced files, or less on a slower one
	floorDisk  = 650
	floorPage  = 20  // milliseconds
	floorGrow  = 1.2 // a page over many keys, over one over few

	floorStored  = 1500 // durable PUTs a second on a PostgreSQL that does floorCommits by itself, or less on a slower one
	floorCommits = 3400
	floorHead    = 5000 // a second, on PostgreSQL

	// floorVersions is how much longer a listing of versions may take than one of
	// objects that returns as many rows. Its rows are longer by a fifth.
	floorVersions = 1.2

	floorBeside = 0.9 // of the speed of requests without a lifecycle pass
	// floorStep is how long a step of one may take, in milliseconds: 1,000 rows and
	// ten commits.
	floorStep = 1000
	floorHeap = 4 // MiB of memory that one may hold on to

	// floorRefused is what refusing a request may cost, of what serving the smallest
	// GET costs, in processor time; and floorNeighbour what is left to others while
	// a tenant is refused, of what is left while it is served.
	floorRefused   = 0.7
	floorNeighbour = 0.95

	// floorLogging is what is left of the speed of the cheapest request when each is
	// logged.
	floorLogging = 0.95

	// floorBalanced is how much longer an upload that is refused may take behind a
	// balancer.
	floorBalanced = 1.2

	// floorFrozen is how much longer a request may take while others ask for what is on a
	// backend that says nothing.
	floorFrozen = 1.1

	floorOverS3 = 0.6 // of the speed of the S3 server itself
	// floorStream is what one more stream may add to the resident memory, in
	// MiB: the buffers of a request, twice, since the heap may grow to double of
	// what is in use before garbage is collected.
	floorStream = 2
)

func (r *report) row(group, name string) *result {
	for i := range r.Results {
		if r.Results[i].Group == group && r.Results[i].Row == name {
			return &r.Results[i]
		}
	}
	return nil
}

// judge compares with the floors, as far as the rows were measured.
func (r *report) judge() {
	r.judgeFolder()
	r.judgePostgres()
	r.judgeVersions()
	r.judgeLifecycle()
	r.judgeTenants()
	r.judgeLogs()
	r.judgeBalancers()
	r.judgeFrozen()
	r.judgeS3(s3Group, overS3, directS3)
	r.judgeS3(s3TLSGroup, overTLS, directTLS)
}

// judgeFolder is about SQLite and a folder of blobs.
func (r *report) judgeFolder() {
	for _, name := range []string{getLargeRow, putLargeRow} {
		if row := r.row(objectsGroup, name); row != nil {
			r.atLeast(name+", of "+rival+"'s speed", row.lane(ours).Rate/row.lane(rival).Rate, floorLarge)
		}
	}
	if row := r.row(objectsGroup, putSmallRow); row != nil {
		r.atLeast(fmt.Sprintf("durable %s a second, with %d clients", putSmallRow, row.Clients),
			row.lane(ours).Rate, floorSmall*min(1, row.lane(diskName).Rate/floorDisk))
	}
	if row := r.row(listsGroup, pageRow); row != nil {
		many, few := row.lane(manyLane).Latency, row.lane(fewLane).Latency
		r.atMost(manyLane+", in ms", many, floorPage)
		r.atMost(manyLane+", of one over few", many/few, floorGrow)
	}
}

func (r *report) judgePostgres() {
	if row := r.row(postgresGroup, putSmallRow); row != nil {
		r.atLeast(fmt.Sprintf("durable %s a second on PostgreSQL, with %d clients", putSmallRow, row.Clients),
			row.lane(onPostgres).Rate, floorStored*min(1, row.lane(pgbenchName).Rate/floorCommits))
	}
	if row := r.row(postgresGroup, headRow); row != nil {
		r.atLeast(headRow+" a second on PostgreSQL", row.lane(onPostgres).Rate, floorHead)
	}
	if row := r.row(postgresListsGroup, listWholeRow); row != nil {
		r.atMost("page of 1000 keys on PostgreSQL, in ms", row.lane(onPostgres).Latency/(someKeys/pageSize), floorPage)
	}
	if row := r.row(postgresListsGroup, listDelimiterRow); row != nil {
		r.atMost("page by delimiter on PostgreSQL, in ms", row.lane(onPostgres).Latency, floorPage)
	}
}

func (r *report) judgeVersions() {
	for _, store := range storePair {
		for _, v := range versionsRows {
			if row := r.row(postgresListsGroup, v.on(store)); row != nil {
				r.atMost(row.Row+", versions, of objects", row.lane(ofVersions).Latency/row.lane(ofObjects).Latency, floorVersions)
			}
		}
	}
}

func (r *report) judgeLifecycle() {
	for _, name := range []string{getSmallRow, putSmallRow} {
		if row := r.row(lifecycleGroup, name); row != nil {
			r.atLeast(name+" "+duringPass+", of its speed "+withoutPass, row.lane(duringPass).Rate/row.lane(withoutPass).Rate, floorBeside)
		}
	}
	if row := r.row(lifecycleGroup, stepRow); row != nil {
		r.atMost(stepRow+", in ms", row.lane(stepRow).Latency, floorStep)
	}
	if row := r.row(lifecycleGroup, heapRow); row != nil {
		r.atMost(heapRow+", in MiB", row.lane(heapRow).Rate, floorHeap)
	}
}

func (r *report) judgeTenants() {
	for _, name := range []string{refusedGetRow, refusedPutRow} {
		get, row := r.row(tenantsGroup, refusedGetRow), r.row(tenantsGroup, name)
		if get != nil && row != nil {
			r.atMost("processor time of "+name+", of a GET 4 KiB that is served", row.lane(refusedLane).perRequest()/get.lane(servedLane).perRequest(), floorRefused)
		}
	}
	if row := r.row(tenantsGroup, neighbourRow); row != nil {
		r.atLeast(neighbourRow+" that are refused, of its speed beside those served", row.lane(besideRefused).Rate/row.lane(besideServed).Rate, floorNeighbour)
	}
}

// judgeS3 is about large bodies over S3.
func (r *report) judgeS3(group string, over, direct string) {
	for _, pair := range [][2]string{{putLargeRow, putLargeMoreRow}, {getLargeRow, getLargeMoreRow}} {
		one, more := r.row(group, pair[0]), r.row(group, pair[1])
		for _, row := range []*result{one, more} {
			if row != nil {
				r.atLeast(row.Row+", "+over+", of the speed of "+direct, row.lane(over).Rate/row.lane(direct).Rate, floorOverS3)
			}
		}
		if one != nil && more != nil {
			added := float64(more.lane(over).Peak-one.lane(over).Peak) / float64(more.Clients-one.Clients)
			r.atMost("memory of one more stream, "+one.Row+", "+over+", in MiB", added/(1<<20), floorStream)
		}
	}
}

func (r *report) atLeast(what string, measured, want float64) {
	r.Floors = append(r.Floors, floor{What: what, Measured: measured, AtLeast: want, Met: measured >= want})
}

func (r *report) atMost(what string, measured, want float64) {
	r.Floors = append(r.Floors, floor{What: what, Measured: measured, AtMost: want, Met: measured <= want})
}
