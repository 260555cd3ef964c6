// Checks mxfp4_quantize by spec_vectors/quantize/mxfp4.ocp.hex, read with $readmemh.
//   -DVECTORS="mxfp4.ocp.hex" -DWORDS=31275   the file, and the number of words in its second line
module testbench;
    reg [47:0] words [0:`WORDS-1];

    reg  [1023:0] numbers;
    wire [7:0]    scale;
    wire [127:0]  codes;
    mxfp4_quantize dut (.numbers(numbers), .scale(scale), .codes(codes));

    // A float16 as float32. Subnormals are shifted until they have a leading one.
    function automatic [31:0] from_float16(input [15:0] half);
        reg [7:0]  exponent;
        reg [10:0] mantissa;
        begin
            exponent = {3'b000, half[14:10]} + 8'd112;  // the biases: 127 - 15
            mantissa = {1'b1, half[9:0]};
            if (half[14:10] == 5'h1f) exponent = 8'hff;
            if (half[14:10] == 5'h00) begin
                exponent = 8'd113;
                mantissa = {1'b0, half[9:0]};
                if (mantissa == 11'd0) exponent = 8'd0;
                else
                    while (!mantissa[10]) begin
                        mantissa = mantissa << 1;
                        exponent = exponent - 8'd1;
                    end
            end
            from_float16 = {half[15], exponent, mantissa[9:0], 13'd0};
        end
    endfunction

    reg [1023:0] next;
    integer at, cases, failed, open, lane;
    reg [47:0] id;
    reg [2:0]  verdict;
    reg [15:0] members;
    reg [19:0] kind;
    reg [7:0]  want_scale;
    reg        zero_block, same, pass;

    initial begin
        $readmemh(`VECTORS, words);
        at = 0;
        cases = 0;
        failed = 0;
        open = 0;
        while (at < `WORDS) begin
            // id verdict members type x_0..x_31 ((scale codes_0..codes_31) x members)
            id      = words[at];
            verdict = words[at+1][2:0];
            members = words[at+2][15:0];
            kind    = words[at+3][19:0];
            at = at + 4;
            zero_block = 1'b1;
            for (lane = 0; lane < 32; lane = lane + 1) begin
                case (kind)
                    20'h00f32: next[32*lane +: 32] = words[at+lane][31:0];
                    20'h0bf16: next[32*lane +: 32] = {words[at+lane][15:0], 16'h0000};
                    20'h00f16: next[32*lane +: 32] = from_float16(words[at+lane][15:0]);
                    default: $fatal(1, "%012h: unknown input type %h", id, kind);
                endcase
                if (next[32*lane +: 31] != 31'd0) zero_block = 1'b0;
            end
            at = at + 32;
            numbers = next;  // whole: Verilator 5.006 misses parts that are written before a delay
            #1;
            pass = verdict == 3'd2;  // open: never fails
            while (members != 16'd0) begin
                // The rules of comparison that the header of the file lists: nan-scale-hides-codes
                // and zero-block-any-scale. `===` so that an X is equal to nothing.
                want_scale = words[at][7:0];
                same = scale === want_scale
                    || (zero_block && want_scale != 8'hff && scale < 8'hff);
                if (want_scale != 8'hff)
                    for (lane = 0; lane < 32; lane = lane + 1)
                        if ({4'h0, codes[4*lane +: 4]} !== words[at+1+lane][7:0]) same = 1'b0;
                if (same === 1'b1) pass = 1'b1;
                at = at + 33;
                members = members - 16'd1;
            end
            cases = cases + 1;
            if (verdict == 3'd2) open = open + 1;
            if (!pass) begin
                failed = failed + 1;
                $display("%012h: fails with scale %02h, codes (31 to 0) %032h", id, scale, codes);
            end
        end
        $display("mxfp4: %0d cases, %0d failed, %0d open", cases, failed, open);
        if (cases == 0 || at != `WORDS || failed != 0) $fatal(1, "FAILED");
        $display("PASSED");
        $finish;
    end
endmodule
