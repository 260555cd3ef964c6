// One float32 number, divided by the scale of its block, to E2M1: round to nearest even,
// saturating, subnormals kept, the sign of zero kept. Under the scale code ff the code is 0.
module e2m1_encode (
    input  wire [31:0] number,
    input  wire [7:0]  scale,
    output reg  [3:0]  code
);
    wire       sign     = number[31];
    wire [7:0] exponent = number[30:23];

    // The quotient is significand * 2^(power - 23). A subnormal float32 has no leading one and
    // the exponent of the least normal, which is that of field 0 with one zero appended.
    wire [23:0] significand = exponent == 8'd0 ? {number[22:0], 1'b0} : {1'b1, number[22:0]};
    wire signed [9:0] power = $signed({2'b00, exponent}) - $signed({2'b00, scale});

    // Below 1 the grid is that of [1, 2): shift right. From 2^-3 on nothing but the sticky bit
    // would be left, so that the shift ends there and no bit of 24 + 3 is lost.
    wire [1:0] shift = power >= 10'sd0 ? 2'd0 : power <= -10'sd3 ? 2'd3 : 2'd0 - power[1:0];
    wire [26:0] aligned = {significand, 3'b000} >> shift;

    // Two bits are kept: a unit and a half.
    wire [1:0] kept   = aligned[26:25];
    wire       guard  = aligned[24];
    wire       sticky = |aligned[23:0];
`ifdef PLANTED_BUG_STICKY
    wire       up     = guard & kept[0];
    wire       unused = sticky;
`else
    wire       up     = guard & (sticky | kept[0]);
`endif

    // Each binade above [1, 2) adds one to the exponent field, and so does a carry out of `kept`.
    wire [3:0] binade    = power == 10'sd1 ? 4'd2 : power == 10'sd2 ? 4'd4 : 4'd0;
    wire [3:0] magnitude = {2'b00, kept} + {3'b000, up} + binade;
    wire       overflow  = power > 10'sd2 || magnitude > 4'd7;

    always @* begin
        if (scale == 8'hff) code = 4'h0;
        else                code = {sign, overflow ? 3'd7 : magnitude[2:0]};
    end
endmodule
