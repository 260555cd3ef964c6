// The same check by the package that `mxref vectors export --to sv` writes: its structs, its
// `same`. Shorter, and with the rules of comparison and the sizes from the file itself. Cases with
// float16 inputs are left out: testbench.v shows how to widen those.
module testbench_export;
    import mxref_quantize_mxfp4_ocp_pkg::*;

    reg [CASE_BITS-1:0]   cases   [0:CASES-1];
    reg [MEMBER_BITS-1:0] members [0:MEMBERS-1];
    case_t   asked;
    member_t got, want;

    wire [1023:0] numbers = asked.x;
    wire [7:0]    scale;
    wire [127:0]  codes;
    mxfp4_quantize dut (.numbers(numbers), .scale(scale), .codes(codes));

    integer index, lane, failed, checked;
    reg     pass;
    reg [255:0] bytes;
    reg [15:0] member;

    initial begin
        $readmemh(CASES_FILE, cases);  // run the simulation where the exported files are
        $readmemh(MEMBERS_FILE, members);
        failed = 0;
        checked = 0;
        for (index = 0; index < CASES; index = index + 1) begin
            asked = cases[index];
            if (asked.input_type == TYPE_BFLOAT16) asked.x = widened(asked.x);
            if (asked.input_type != TYPE_FLOAT16) begin
                #1;
                got.refused = 8'd0;
                got.scale = scale;
                for (lane = 0; lane < 32; lane = lane + 1)
                    bytes[8*lane +: 8] = {4'h0, codes[4*lane +: 4]};
                got.codes = bytes;
                asked = cases[index];
                pass = asked.verdict == VERDICT_OPEN;
                for (member = 16'd0; member < asked.members; member = member + 16'd1) begin
                    want = members[asked.first_member + {16'd0, member}];
                    if (same(asked, got, want) === 1'b1) pass = 1'b1;
                end
                checked = checked + 1;
                if (!pass) begin
                    failed = failed + 1;
                    $display("%012h: fails with scale %02h", asked.id[47:0], scale);
                end
            end
        end
        $display("mxfp4: %0d of %0d cases, %0d failed", checked, CASES, failed);
        if (checked == 0 || failed != 0) $fatal(1, "FAILED");
        $display("PASSED");
        $finish;
    end

    // bfloat16 is the upper half of a float32.
    function automatic [1023:0] widened(input [1023:0] x);
        integer i;
        for (i = 0; i < 32; i = i + 1) widened[32*i +: 32] = {x[32*i +: 16], 16'h0000};
    endfunction
endmodule
