package records_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/flowscope-go/flowscope"
	"github.com/flowscope-go/flowscope/examples/parquet/records"
	"github.com/flowscope-go/flowscope/export"
)

// captured are the records of the project's captures.
func captured(t *testing.T) (all []flowscope.Record) {
	t.Helper()
	names, err := filepath.Glob("../../../testdata/captures/*.pcap")
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	for _, name := range names {
		driver, err := flowscope.NewFlowDriver(flowscope.AutoDetectEncap(flowscope.FiveTuple{}), nil, flowscope.Config{
			Details: flowscope.AllDetails, Events: flowscope.Events(flowscope.EventReleased, flowscope.EventReport),
			ReportEvery: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		for ev, err := range driver.Events(flowscope.OpenCapture(name)) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, flowscope.RecordOf(ev))
		}
	}
	return all
}

// random has fields of some record and any numbers.
func random(r *rand.Rand, some []flowscope.Record) (f flowscope.Record) {
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		field := v.Field(i)
		field.Set(reflect.ValueOf(some[r.IntN(len(some))]).Field(i))
		switch {
		case r.IntN(3) != 0:
		case field.CanUint():
			field.SetUint(r.Uint64() >> r.IntN(64) & (1<<field.Type().Bits() - 1))
		case field.CanInt():
			field.SetInt(int64(r.Uint64()) >> r.IntN(64))
		case field.Kind() == reflect.Array && field.Index(0).CanUint():
			for k := range field.Len() {
				field.Index(k).SetUint(r.Uint64() >> r.IntN(64) & (1<<field.Index(k).Type().Bits() - 1))
			}
		case r.IntN(2) == 0:
			field.SetZero()
		}
	}
	f.Start, f.End = f.Start&(1<<60-1), f.End&(1<<60-1) // the years that all formats have
	f.InitiatorFIN, f.ResponderFIN = f.InitiatorFIN&(1<<60-1), f.ResponderFIN&(1<<60-1)
	return f
}

// file is a Parquet file of the records.
func file(t *testing.T, all []flowscope.Record, o records.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	w := records.NewWriter(&b, o)
	for i := range all {
		if err := w.Write(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestColumnsAreThoseOfCSV: the file, read without the type Row, has the columns of export.CSV with the same values.
func TestColumnsAreThoseOfCSV(t *testing.T) {
	all := captured(t)
	r := rand.New(rand.NewPCG(11, 12))
	for range 1000 {
		all = append(all, random(r, all[:30]))
	}
	for _, o := range []records.Options{
		{Details: flowscope.AllDetails, Streams: true, GroupRows: 100}, {}, {Details: flowscope.DetailTCP}, {Details: flowscope.DetailLateBytes},
		{Details: flowscope.DetailOrigin, Streams: true},
	} {
		b := file(t, all, o)
		f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		want := cells(t, all, export.CSV{Details: o.Details, Streams: o.Streams})
		var names []string
		for _, field := range f.Schema().Fields() {
			names = append(names, field.Name())
		}
		if !reflect.DeepEqual(names, want[0]) {
			t.Fatalf("columns are %v, want %v", names, want[0])
		}
		got := rows(t, f)
		if len(got) != len(all) {
			t.Fatalf("%d rows of %d records", len(got), len(all))
		}
		for i, row := range got {
			for k, v := range row {
				if text := textOf(f.Schema().Fields()[k], v); text != want[i+1][k] {
					t.Fatalf("row %d: %s is %q, want %q", i, names[k], text, want[i+1][k])
				}
			}
		}
	}
}

// cells are the header and the rows of CSV.
func cells(t *testing.T, all []flowscope.Record, c export.CSV) [][]string {
	t.Helper()
	b := c.AppendHeader(nil)
	for i := range all {
		b = c.AppendRecord(b, &all[i])
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// rows reads all rows of all groups.
func rows(t *testing.T, f *parquet.File) (all []parquet.Row) {
	t.Helper()
	for _, group := range f.RowGroups() {
		reader := group.Rows()
		buffer := make([]parquet.Row, 64)
		for {
			n, err := reader.ReadRows(buffer)
			for _, row := range buffer[:n] {
				all = append(all, row.Clone())
			}
			if err != nil {
				break // io.EOF; a row that is missing is seen
			}
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// textOf is a value as CSV has it.
func textOf(field parquet.Field, v parquet.Value) string {
	if v.IsNull() {
		return ""
	}
	if l := field.Type().LogicalType(); l != nil {
		switch l := l.Value.(type) {
		case *format.TimestampType:
			return time.Unix(0, v.Int64()).UTC().Format(time.RFC3339Nano)
		case *format.IntType:
			switch {
			case l.IsSigned:
			case l.BitWidth == 64:
				return strconv.FormatUint(v.Uint64(), 10)
			default:
				return strconv.FormatUint(uint64(v.Uint32()), 10)
			}
		}
	}
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return "1"
		}
		return "0"
	case parquet.Double:
		return strconv.FormatFloat(v.Double(), 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// TestRowsAreReadBackAsTheyAre: parquet.Read[Row] is for programs in Go.
func TestRowsAreReadBackAsTheyAre(t *testing.T) {
	all := captured(t)
	b := file(t, all, records.Options{Details: flowscope.AllDetails, Streams: true})
	rows, err := parquet.Read[records.Row](bytes.NewReader(b), int64(len(b)))
	if err != nil || len(rows) != len(all) {
		t.Fatal(len(rows), err)
	}
	for i := range rows {
		if rows[i].UID != all[i].UID.String() || rows[i].InitiatorWireBytes != all[i].WireBytes[0] || *rows[i].ResponderIPBytes != all[i].IPBytes[1] {
			t.Fatalf("row %d is %+v", i, rows[i])
		}
	}
}

// TestGroupsAreBounded: a row group is written when it is full.
func TestGroupsAreBounded(t *testing.T) {
	var all []flowscope.Record
	for range 5 {
		all = append(all, captured(t)...)
	}
	b := file(t, all, records.Options{GroupRows: 64})
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	groups := f.RowGroups()
	if want := (len(all) + 63) / 64; len(groups) != want || want < 3 {
		t.Fatalf("%d groups of %d records", len(groups), len(all))
	}
	for i, g := range groups {
		if n := g.NumRows(); n > 64 || i < len(groups)-1 && n != 64 {
			t.Fatalf("group %d has %d rows", i, n)
		}
	}
}
